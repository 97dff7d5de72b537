"""docs/rules.md shows the rules of the default run as they are, with a line on each rule."""

from __future__ import annotations

import re
from pathlib import Path

import draw_rules

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs/rules.md").read_text(encoding="utf-8")


def test_the_graph_is_that_of_snakemake(checkout):
    (block,) = draw_rules.BLOCK.findall(TEXT)
    assert block == draw_rules.graph(checkout.folder)
    assert "retrieve --> prepare" in block and "plot --> report" in block


def test_every_rule_is_described_and_no_other():
    scripts = {path.stem for path in (ROOT / "workflow/scripts").glob("*.py")} - {"restore"}
    cells = [line.split("|")[1] for line in TEXT.splitlines() if line.startswith("| `")]
    described = {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}
    assert described | {"import_qk", "import_projections", "import_clusters"} == scripts
