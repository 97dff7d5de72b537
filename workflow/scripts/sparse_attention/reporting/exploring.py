"""Prepare the points behind figures for the plots that readers of the report explore."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pandas as pd
from plotly.offline import get_plotlyjs

from sparse_attention.metrics.facts import CLASSIFICATION, MetricFacts, support_metrics
from sparse_attention.plotting import registry as plots
from sparse_attention.plotting.style import interval_ends
from sparse_attention.reporting.curves import WAYS, Curve, Points
from sparse_attention.reporting.inputs import Setting
from sparse_attention.summaries.pareto import front
from sparse_attention.summaries.wording import joined, spell

SCALES = {
    "sparsity": "left",
    "computation_sparsity": "left",
    "perplexity": "logarithmic",
    "loss": "number",
    "loss_increase": "nats",
    "f1": "number",
    "roc_auc": "number",
}
"""The scale of a column on an axis, as explore.js names it; others are shares, or numbers if their range says so."""
TITLES = {
    "loss_increase": "Loss increase (nats per masked token)",
    "relative_flops": "Multiply-adds over the dense model's",
}
"""Titles of axes whose column needs more words than in a sentence."""
WORDS = {"relative_flops": "multiply-adds", "kept_share": "tokens kept"}
"""Names of columns in a sentence that differ from the name of the column."""


def explored(
    table_of: Callable[[str], pd.DataFrame | None], figures: Iterable[str], setting: Setting
) -> dict[str, Any]:
    """Return the points of all figures that declare what can be explored, for JSON; empty if there are none.

    Parameters
    ----------
    table_of : callable
        Returns a published table by its name, or None.
    figures : iterable of str
        The names of the figures that the page shows.
    setting : Setting
        The setting that the figures show.

    Returns
    -------
    dict of str to Any
        `figures`: by name, the axes and levels of a figure, and the table that has its curves.
        `curves`: by table, the curves with their points.
    """
    declared = {name: own for name in figures if (own := plots.discover()[name].explored)}
    shown: dict[str, Any] = {"figures": {}, "curves": {}}
    for table in dict.fromkeys(own[0] for own in declared.values()):
        frame = table_of(table)
        axes = {name: own[1:] for name, own in declared.items() if own[0] == table}
        axes = {name: own for name, own in axes.items() if frame is not None and {*own[:2]} <= {*frame.columns}}
        points = WAYS[table](frame, setting) if frame is not None and axes else Points([])
        if points.curves:
            shown["figures"] |= {name: _figure(table, points, *own) for name, own in axes.items()}
            shown["curves"][table] = [_curve(curve, points.also, axes) for curve in points.curves]
    return shown if shown["figures"] else {}


def _figure(table: str, points: Points, x: str, y: str, line: str) -> dict[str, Any]:
    also = [_axis(column) for column in points.also if column not in (x, y)]
    return {"curves": table, "x": _axis(x), "y": _axis(y), "also": also, "line": line, "levels": _levels(points, y)}


def _axis(column: str) -> dict[str, str]:
    """Return what a plot must know of a column: its title on an axis, its name in a sentence, and its scale."""
    fact = (support_metrics() | CLASSIFICATION).get(column) or MetricFacts(column, spell(column).capitalize(), "")
    title, words = TITLES.get(column, fact.title), WORDS.get(column, fact.words)
    scale = SCALES.get(column, "share" if (fact.low, fact.high) == (0, 1) else "number")
    return {"column": column, "title": title, "words": words, "scale": scale}


def _levels(points: Points, column: str) -> list[dict[str, Any]]:
    """Return the horizontal lines of a figure; lines at the same height are one."""
    known = points.levels[points.levels[column].notna()] if column in points.levels else pd.DataFrame()
    if known.empty:
        return []
    equal = [own for _, own in known.groupby(column, sort=False)]
    return [{"name": joined(list(own["name"])), "value": round(float(own[column].iloc[0]), 5)} for own in equal]


def _curve(curve: Curve, also: Iterable[str], axes: dict[str, tuple[str, ...]]) -> dict[str, Any]:
    """Return a curve for JSON: its style, its points' settings, values and intervals, and what is on its fronts."""
    columns = dict.fromkeys([*also, *(column for own in axes.values() for column in own[:2])])
    fronts = {name: (x, y) for name, (x, y, line) in axes.items() if line == "front"}
    return {
        "name": curve.name,
        "colour": curve.colour,
        "symbol": curve.symbol,
        "dashed": curve.dashed,
        "settings": curve.settings,
        "values": {column: _numbers(curve.rows[column]) for column in columns},
        "intervals": {column: ends for column in columns if (ends := _intervals(curve.rows, column))},
        "fronts": {
            name: front(*(curve.rows[column].to_numpy() for column in own)).tolist() for name, own in fronts.items()
        },
    }


def _intervals(rows: pd.DataFrame, column: str) -> list[list[float | None]]:
    """Return the lower and the upper ends of a column's 95 % intervals; empty if no row has one."""
    ends = interval_ends(rows, column)
    return [_numbers(end) for end in ends] if np.isfinite(ends).any() else []


def _numbers(values: Iterable[float]) -> list[float | None]:
    return [None if pd.isna(value) else round(float(value), 5) for value in values]


def plotting_library() -> tuple[str, str]:
    """Return the script of plotly, and the same compressed and in base64, as the page holds it."""
    script = get_plotlyjs()
    return script, base64.b64encode(gzip.compress(script.encode(), mtime=0)).decode("ascii")
