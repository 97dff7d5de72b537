"""Prepare the points of the trade-offs between sparsity and quality for the plots that readers explore."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Collection, Mapping
from typing import Any

import pandas as pd
from plotly.offline import get_plotlyjs

from sparse_attention.metrics.facts import support_metrics
from sparse_attention.plotting.predictor_styles import distinct_styles
from sparse_attention.reporting.findings import predictor_name
from sparse_attention.summaries.pareto import front
from sparse_attention.summaries.wording import kept_tokens, spell

AXES = {
    "pareto_recall": ("sparsity", "recall"),
    "pareto_mass_recall": ("sparsity", "mass_recall"),
    "pareto_exactness": ("sparsity", "exactness"),
    "pareto_computation": ("computation_sparsity", "recall"),
}
"""Figures of points that can be explored, with the columns on their axes."""
SYMBOLS = {
    "o": "circle", "s": "square", "D": "diamond", "d": "diamond-tall", "^": "triangle-up", "v": "triangle-down",
    "<": "triangle-left", ">": "triangle-right", "P": "cross", "X": "x", "p": "pentagon", "h": "hexagon",
    "H": "hexagon2", "*": "star", "8": "octagon", "1": "y-down-open", "2": "y-up-open", "3": "y-left-open",
    "4": "y-right-open",
}  # fmt: skip
"""Markers of the figures by the names that plotly gives them."""


def explored(points: pd.DataFrame | None, figures: Collection[str], window: int, keep: str) -> dict[str, Any]:
    """Return the points of the figures of a run, for JSON; empty if there are none.

    Parameters
    ----------
    points : pandas.DataFrame, optional
        The table `predictors`.
    figures : collection of str
        The names of the figures that the page shows.
    window, keep
        The window and the kept tokens that the figures show.
    """
    if points is None:
        return {}
    rows = points[(points["window"] == window) & (points["keep"] == keep)]
    axes = {name: own for name, own in AXES.items() if name in figures and set(own) <= set(rows.columns)}
    if rows.empty or not axes:
        return {}
    styles, several = distinct_styles(rows["predictor"]), rows["attention"].nunique() > 1
    columns = sorted({column for own in axes.values() for column in own})
    curves = []
    for (attention, predictor, _), own in rows.groupby(["attention", "predictor", "projection"], sort=False):
        # from left to right, so that arrow keys go from point to point
        own, style = own.sort_values(["sparsity", "point"], kind="stable"), styles[str(predictor)]
        where = f" ({spell(attention)})" if several else ""
        curves.append(
            {
                "name": predictor_name(own.iloc[0], rows) + where,
                "colour": style.colour,
                "symbol": SYMBOLS.get(style.marker, "circle"),
                "dashed": style.line != "-",
                "settings": [_setting(row) for row in own.to_dict("records")],
                "values": {column: _numbers(own[column]) for column in columns},
                "fronts": {name: front(*(own[column].to_numpy() for column in pair)).tolist()
                           for name, pair in axes.items()},
            }
        )  # fmt: skip
    titles = {name: metric.title for name, metric in support_metrics().items()}
    figures_of = {
        name: {"x": x, "y": y, "titles": [titles.get(column, spell(column).capitalize()) for column in (x, y)]}
        for name, (x, y) in axes.items()
    }
    return {"figures": figures_of, "curves": curves}


def _setting(row: Mapping[Any, Any]) -> str:
    """Return all settings of a point for readers."""
    window = f"window {row['window']}" if row["window"] else ""
    parts = [spell(row["point"]), spell(row["projection"]), window, kept_tokens(row["keep"])]
    return "; ".join(part for part in parts if part)


def _numbers(values: pd.Series) -> list[float | None]:
    return [None if pd.isna(value) else round(float(value), 5) for value in values]


def plotting_library() -> tuple[str, str]:
    """Return the script of plotly, and the same compressed and in base64, as the page holds it."""
    script = get_plotlyjs()
    return script, base64.b64encode(gzip.compress(script.encode(), mtime=0)).decode("ascii")
