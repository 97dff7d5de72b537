"""docs/adding-a-table.md, followed step by step."""

from __future__ import annotations

import re

import pandas as pd
import pytest

from guides import Guide
from sparse_attention.settings.results import KINDS
from sparse_attention.summaries.registry import OPTIONAL, REQUIRED, SECTIONS

GUIDE = Guide("adding-a-table.md")


@pytest.fixture(scope="module")
def guide():
    """The path and the text of the module."""
    code, command = GUIDE.blocks()
    assert command == "make run\n"
    return re.search(r"in `(workflow/scripts/sparse_attention/summaries/tables/\w+\.py)`", GUIDE.text)[1], code


def test_the_guide_explains_every_attribute_and_names_every_section_and_kind():
    text, kinds = GUIDE.text.split("| Kinds | Written by |")
    kinds, others = kinds.split("## Optional attributes")
    assert set(re.findall(r"^\| `(\w+)", text + others, re.MULTILINE)) == {*REQUIRED, *OPTIONAL}
    (sections,) = re.findall(r"^\| `section` \| (.*)", GUIDE.text, re.MULTILINE)
    assert re.findall(r"`(\w+)`", sections) == list(SECTIONS)
    rows = re.findall(r"^\| (`.*?) \|", kinds, re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", " ".join(rows))) == set(KINDS)


def test_one_file_is_made_and_told_and_nothing_else_is_run_again(guide, copy_of_finished):
    copy_of_finished.write(*guide)
    # the manifest lists the tables
    assert sorted(copy_of_finished.planned()) == ["manifest", "report", "summarise", "summarise_runtime", "write_latex"]
    run = copy_of_finished.snakemake()
    assert run.returncode == 0, run.stdout + run.stderr
    results = copy_of_finished.folder / "results"
    table = pd.read_csv(results / "tables/gold_by_layer.tsv", sep="\t")
    assert list(table["layer"]) == [0, 1]
    assert (table["lowest"] <= table["mean"]).all() and (table["mean"] <= table["highest"]).all()
    assert r"\toprule" in (results / "tables/gold_by_layer.tex").read_text(encoding="utf-8")
    text = (results / "report.html").read_text(encoding="utf-8")
    section = text[text.index('<section id="gold">') :]
    section = section[: section.index("</section>")]
    assert section.index('id="table-gold_sparsity"') < section.index('id="table-gold_by_layer"')
    assert "sparsest (<code>lowest</code>, <code>highest</code>)" in section
    assert "<code>tables/gold_by_layer.tsv, .tex</code>" in text
    assert copy_of_finished.planned() == []


@pytest.mark.parametrize(
    ("line", "other", "words"),
    [
        ('section = "gold"', 'section = "golden"', "'golden'; allowed: corpus, models, gold"),
        ('tables = ("gold_sparsity",)', 'tables = ("golden",)', "tables: 'golden' is not allowed; allowed: "),
        ('tables = ("gold_sparsity",)', 'needs = ("golden",)', "needs: 'golden' is not allowed; allowed: "),
        ("latex = True", 'settings = ("figures.golden",)', "the configuration has no key figures.golden"),
    ],
    ids=["section", "table", "kind", "setting"],
)
def test_what_does_not_exist_is_refused_before_anything_runs(line, other, words, guide, checkout):
    module, code = guide
    assert line in code
    checkout.write(module, code.replace(line, other))
    run = checkout.snakemake("--dry-run")
    output = run.stdout + run.stderr
    assert run.returncode != 0 and words in output and "gold_by_layer" in output
    assert "Traceback" not in output
