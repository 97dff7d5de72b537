"""docs/adding-a-figure.md, followed step by step."""

from __future__ import annotations

import re

import pytest

from guides import Guide
from sparse_attention.plotting.registry import OPTIONAL, REQUIRED, SECTIONS

GUIDE = Guide("adding-a-figure.md")
HEADS = {"svg": b"<?xml", "pdf": b"%PDF", "png": b"\x89PNG"}


@pytest.fixture(scope="module")
def guide():
    """The path and the text of the module."""
    code, command, _ = GUIDE.blocks()
    assert command == "make run\n"
    return re.search(r"in `(workflow/scripts/sparse_attention/plotting/figures/\w+\.py)`", GUIDE.text)[1], code


def test_the_guide_explains_every_attribute_and_names_every_section():
    assert set(re.findall(r"^\| `(\w+)", GUIDE.text, re.MULTILINE)) == {*REQUIRED, *OPTIONAL}
    (sections,) = re.findall(r"^\| `section` \| (.*)", GUIDE.text, re.MULTILINE)
    assert re.findall(r"`(\w+)`", sections) == list(SECTIONS)


def test_one_file_is_drawn_and_told_and_nothing_else_is_run_again(guide, copy_of_finished):
    copy_of_finished.write(*guide)
    assert sorted(copy_of_finished.planned()) == ["plot", "report", "summarise_runtime"]
    run = copy_of_finished.snakemake()
    assert run.returncode == 0, run.stdout + run.stderr
    results = copy_of_finished.folder / "results"
    for suffix, head in HEADS.items():
        assert (results / f"figures/gold_by_layer.{suffix}").read_bytes().startswith(head)
    text = (results / "report.html").read_text(encoding="utf-8")
    section = text[text.index('<section id="gold">') :]
    section = section[: section.index("</section>")]
    assert section.index('<figure id="heatmap_gold">') < section.index('<figure id="gold_by_layer">')
    assert "through the means (<code>gold_sparsity</code>)" in section
    assert copy_of_finished.planned() == []


@pytest.mark.parametrize(
    ("line", "other", "words"),
    [
        ('section = "gold"', 'section = "golden"', "'golden'; allowed: corpus, models, gold"),
        ('("gold_sparsity",)', '("gold",)', "needs: 'gold' is not allowed; allowed: "),
    ],
    ids=["section", "table"],
)
def test_what_does_not_exist_is_refused_before_anything_runs(line, other, words, guide, checkout):
    module, code = guide
    assert line in code
    checkout.write(module, code.replace(line, other))
    run = checkout.snakemake("--dry-run")
    output = run.stdout + run.stderr
    assert run.returncode != 0 and words in output and "gold_by_layer" in output
    assert "Traceback" not in output
