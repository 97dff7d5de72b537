"""Configuration as users give it: files, the command line, a profile; with plain Snakemake and with `make run`."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]

TINY = "tests/config/tiny.yaml"


def refused(checkout, *arguments, configfiles=(TINY,)):
    run = checkout.snakemake("--dry-run", *arguments, configfiles=configfiles)
    output = run.stdout + run.stderr
    assert run.returncode != 0 and "Traceback" not in output
    return output


def test_files_in_a_row_are_read_strictly_and_blamed_rightly(checkout):
    twice = checkout.write("twice.yaml", "train_mlm: {steps: 20}\nblocks: {length: 32}\ntrain_mlm: {batch_size: 2}\n")
    fine = checkout.write("fine.json", '{"blocks": {"length": 1}}')
    output = refused(checkout, configfiles=(TINY, twice, fine))
    assert "twice.yaml, lines 1 and 3: train_mlm: appears twice" in output
    checkout.write("twice.yaml", "train_mlm: {learning_rate: 5e-4}\nblocks: {length: 32}\n")
    output = refused(checkout, "--config", "seeds=[x]", configfiles=(TINY, twice, fine))
    assert "  twice.yaml: train_mlm.learning_rate: '5e-4' is not allowed; YAML reads it as text, write 5.0e-4" in output
    assert "  fine.json: blocks.length: 1 is not allowed" in output
    assert "  --config: seeds[0]: 'x' is not allowed" in output
    assert "config/config.yaml: " not in output


def test_the_command_line_and_a_profile_mean_what_they_say(checkout):
    arguments = ("--config", "seeds=[1, 2]", "code=null", "train_mlm={'steps': 20, 'dropout': None}", "corpus=2016",
                 "corpora={2016: {path: resources/tiny/wiki.xml.bz2, format: mediawiki}}")  # fmt: skip
    planned = checkout.planned(*arguments, "--until", "train_mlm")
    assert planned.count("train_mlm") == 4
    checkout.write("mine/config.yaml", "config:\n  seeds: [1, 2, 3]\n  code: null\n  train_mlm: {dropout: null}\n")
    planned = checkout.planned("--profile", "mine", "--until", "train_mlm")
    assert planned.count("train_mlm") == 6


def test_jobs_read_the_command_line_as_the_run_does(checkout):
    checkout.write("shown.smk", (
        'include: "Snakefile"\n'
        "rule show:\n"
        '    output: "shown.txt"\n'
        "    run:\n"
        '        values = config["seeds"], config["code"], config["prepare"]["min_characters"]\n'
        '        open(output[0], "w").write(repr(values))\n'
    ))  # fmt: skip
    settings = ("seeds=[3, 4]", "code=null", "prepare={min_characters: 1e2}")
    run = checkout.snakemake("--snakefile", "shown.smk", "shown.txt", "--config", *settings)
    assert run.returncode == 0, run.stdout + run.stderr
    assert (checkout.folder / "shown.txt").read_text() == "([3, 4], None, 100)"


def test_what_snakemake_would_lose_is_refused(checkout):
    overlay = checkout.write("mine.yaml", "seeds: [2]\n")
    output = refused(checkout, "--configfile", overlay, "--cores", "1")
    assert "--configfile appears twice, and only the last would count" in output


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "mine.yaml: is empty"),
        ("seeds: [1]\n".encode("utf-16"), "mine.yaml, line 1: is UTF-16"),
        (b"threads:\n\ttrain: 1\n", "mine.yaml, line 2: not YAML: a tab"),
        (b"seeds: [1]\nseeds: [2]\n", "mine.yaml, lines 1 and 2: seeds: appears twice"),
    ],
    ids=["empty", "utf-16", "tab", "twice"],
)
def test_the_guarded_start_says_in_one_line_what_snakemake_cannot_read(checkout, content, words):
    (checkout.folder / "mine.yaml").write_bytes(content)
    command = [sys.executable, "tools/run.py", "--dry-run", "--cores", "1", "--configfile", TINY, "mine.yaml"]
    run = subprocess.run(command, cwd=checkout.folder, capture_output=True, text=True, timeout=120)
    assert run.returncode == 1
    assert re.fullmatch(rf"the configuration cannot be read:\n  {re.escape(words)}.*\n", run.stderr)


def test_the_file_for_the_catalogue_has_its_keys():
    usage = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text(encoding="utf-8"))["usage"]
    assert set(usage) == {"mandatory-flags", "software-stack-deployment"}
    deployment = usage["software-stack-deployment"]
    assert set(deployment) <= {"conda", "apptainer", "apptainer+conda", "report"}
    assert deployment["report"] == (
        'report: "workflow/report/workflow.rst"' in (ROOT / "Snakefile").read_text(encoding="utf-8")
    )
