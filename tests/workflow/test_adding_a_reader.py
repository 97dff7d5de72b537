"""docs/adding-a-reader.md, followed step by step."""

from __future__ import annotations

import json
import re
from typing import NamedTuple

import pandas as pd
import pytest

from guides import Guide

TINY = "tests/config/tiny.yaml"
READERS = "workflow/scripts/sparse_attention/data"


class Steps(NamedTuple):
    """What a section of the page says: the module, the overlay, and the rule to stop after."""

    module: str
    code: str
    name: str
    overlay: str
    until: str


@pytest.fixture(scope="module")
def text_and_code():
    page = Guide("adding-a-reader.md")
    blocks, modules = page.blocks(), re.findall(rf"in `({READERS}/[\w/]+\.py)`:", page.text)
    assert len(blocks) == 6 and len(modules) == 2
    sections = []
    for module, (code, overlay, command) in zip(modules, (blocks[:3], blocks[3:]), strict=True):
        name, until = re.fullmatch(r'make run ARGS="--configfile (\w+\.yaml) --until (\w+)"\n', command).groups()
        assert overlay.startswith(f"# {name}\n")
        sections.append(Steps(module, code, name, overlay, until))
    return sections


def run(checkout, steps):
    """Follow the steps; return the rules that ran."""
    checkout.write(steps.module, steps.code)
    checkout.write(steps.name, steps.overlay)
    given = ("--until", steps.until), (TINY, steps.name)
    planned = checkout.planned(*given[0], configfiles=given[1])
    run = checkout.snakemake(*given[0], configfiles=given[1])
    assert run.returncode == 0, run.stdout + run.stderr
    assert checkout.planned(*given[0], configfiles=given[1]) == []
    return planned


def test_a_reader_of_text_reads_a_corpus(text_and_code, checkout):
    texts = [" ".join(f"word{number}-{k}" for k in range(30)) for number in range(9)]
    checkout.write("data/fortunes/a.fortune", "\n%%\n".join(texts[:5]))
    checkout.write("data/fortunes/b.fortune", "\n%%\n".join(texts[5:]) + "\n%%\n")
    assert sorted(run(checkout, text_and_code[0])) == ["prepare", "retrieve"]
    lines = (checkout.folder / "results/data/fortunes/documents.jsonl").read_text().splitlines()
    found = {row["id"]: row["text"] for row in map(json.loads, lines)}
    assert list(found.values()) == texts and list(found)[4:6] == ["a.fortune#5", "b.fortune#1"]


def test_a_reader_of_code_reads_functions(text_and_code, checkout):
    for number in range(24):
        folder = "broken" if number % 2 else "sound"
        body = "\n".join(f"    x{number} = call_{number}_{k}()" for k in range(5))
        checkout.write(f"data/functions/{folder}/f{number}.py", f"def f{number}():\n{body}\n")
    assert sorted(run(checkout, text_and_code[1])) == ["prepare_code", "retrieve"]
    table = pd.read_parquet(checkout.folder / "results/code/functions/functions.parquet")
    labels = {path: int(path[1:-3]) % 2 for path in table["path"]}
    assert dict(zip(table["path"], table["label"], strict=True)) == labels and set(labels.values()) == {0, 1}
    # a split may have more sound functions than are needed
    assert 20 <= len(table) <= 24


def test_a_new_reader_and_an_edit_of_another_one_re_run_nothing(text_and_code, copy_of_finished):
    for steps in text_and_code:
        copy_of_finished.write(steps.module, steps.code)
    for name in ("readers/wikitext.py", "code/readers/bandit.py"):
        module = copy_of_finished.folder / READERS / name
        module.write_text(module.read_text() + "\nUNUSED = 1\n")
    assert copy_of_finished.planned() == []


@pytest.mark.parametrize(
    ("name", "rule"), [("readers/mediawiki.py", "prepare"), ("code/readers/table.py", "prepare_code")]
)
def test_an_edit_of_a_reader_re_runs_what_uses_it(name, rule, copy_of_finished):
    module = copy_of_finished.folder / READERS / name
    module.write_text(module.read_text() + "\nUNUSED = 1\n")
    assert copy_of_finished.planned("--until", rule) == [rule]


def test_a_key_that_no_reader_has_is_refused_before_anything_runs(text_and_code, checkout):
    steps = text_and_code[0]
    checkout.write(steps.module, steps.code)
    checkout.write("data/fortunes/a.fortune", "text")
    checkout.write(steps.name, steps.overlay.replace("separator", "seperator"))
    run = checkout.snakemake("--dry-run", configfiles=(TINY, steps.name))
    output = run.stdout + run.stderr
    assert run.returncode != 0 and "Traceback" not in output
    assert "corpora.fortunes.seperator: no such key; did you mean separator?" in output
