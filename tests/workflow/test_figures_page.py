"""docs/figures.md names every figure and table of the workflow, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from sparse_attention.plotting.registry import discover as discover_figures
from sparse_attention.settings.config import schema
from sparse_attention.summaries.registry import discover as discover_tables

TEXT = (Path(__file__).parents[2] / "docs/figures.md").read_text(encoding="utf-8")
OURS = {*discover_figures(), *discover_tables()}
# names in the page that are settings or systems, not figures or tables
OTHERS = {"classifier", "prunings", "manual", "topk", "random", "text", "retrained", "evaluate_sparse_mlm"}


def names():
    rows = [line.split("|") for line in TEXT.splitlines() if line.startswith("|")]
    return {name for row in rows for cell in row for name in re.findall(r"`([a-z_0-9]+)`", cell)}


def test_every_figure_and_table_of_ours_is_named():
    assert sorted(OURS - names()) == []


def test_every_name_exists():
    assert sorted(names() - OURS - OTHERS) == []
    assert {"classifier", "prunings", "evaluate_sparse_mlm"} <= set(schema().content["properties"])
