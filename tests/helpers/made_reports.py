"""Write the report of made-up tables, with its figures of trade-offs."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from drawing import draw
from sparse_attention.files.tables import read_table
from sparse_attention.plotting import style
from sparse_attention.plotting.registry import discover
from sparse_attention.reporting import page
from sparse_attention.reporting.inputs import Inputs, Setting

TEMPLATE = str(Path(__file__).parents[2] / "workflow" / "report" / "report.html.j2")
CONTEXT = {"corpus": "wiki-2016", "model": "minilm-l6"}
SETTING = Setting(0, "none", 0.95)
FIGURES = ("pareto_recall", "pareto_mass_recall", "sparse_mlm_perplexity", "sparse_mlm_increase", "training_curves")
MANIFEST = {
    "code": {"commit": "c" * 40, "dirty": False},
    "python": "3.11.7",
    "packages": {"numpy": "2.4.6"},
    "hardware": {"system": "Linux", "processor": "CPU", "cores": 2, "memory_gib": 8.0, "gpus": []},
    "seeds": [1],
    "config": {"blocks": {"length": 256}},
    "data": [],
    "tables": [],
}


def made_report(tables: Path) -> str:
    """Return the report of the published tables in a folder."""
    setting = CONTEXT | {"window": 0, "keep": "none"}
    with TemporaryDirectory() as folder:
        paths = [str(Path(folder) / f"{name}.svg") for name in FIGURES]
        for name, path in zip(FIGURES, paths, strict=True):
            needed = {table: read_table(tables / f"{table}.tsv") for table in discover()[name].needs}
            style.save(draw(name, setting, **needed), [path])
        inputs = Inputs(map(str, sorted(tables.glob("*.tsv"))), paths)
        return page.render(TEMPLATE, inputs, MANIFEST, CONTEXT, SETTING)
