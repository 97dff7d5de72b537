"""Shared parts of the figures of pruned classifiers: labels, colours, error bars, the plot of quality against cost."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from sparse_attention.files.segments import parse_segment
from sparse_attention.metrics.classification import THRESHOLD
from sparse_attention.metrics.facts import CLASSIFICATION
from sparse_attention.plotting import style
from sparse_attention.summaries.wording import count, spell_pruning

SYSTEMS = {
    "dense": ("nothing pruned", style.INK),
    "hard": ("learned thresholds", "#0072B2"),
    "soft": ("learned, soft weights", "#56B4E9"),
    "manual": ("linear thresholds", "#009E73"),
    "topk": ("top-k", "#E69F00"),
    "random": ("random", "#CC79A7"),
    "text": ("text pruned before", "#D55E00"),
    "retrained": ("trained on the export", "#7B3294"),
}
"""Label and colour of each system."""
OUTCOMES = {True: ("classified rightly", "#0072B2"), False: ("wrongly", "#D55E00")}
"""Label and colour of functions whose label is predicted, and of all others."""
MARKERS = "osD^vP*X<>pdH"
MOST_DOTS = 10_000
"""Above this number in a figure the dots become an image within the file, which would otherwise take megabytes."""


def draw_quality(table: pd.DataFrame, metric: str, context: Mapping[str, Any]) -> Figure:
    """Draw a metric against the multiply-adds relative to the library's dense model, with bootstrap intervals.

    Parameters
    ----------
    table : pandas.DataFrame
        The table `pruning`.
    metric : str
        The column to draw.
    context : mapping
        `corpus` and `model`.
    """
    own = compared_systems(table)
    gap = 0.012 * own["relative_flops"].max()
    places = own.groupby("pruning")["relative_flops"].transform(lambda costs: _side_by_side(costs.to_numpy(), gap))
    own = own.assign(place=places)
    with style.house_style():
        figure, axes = style.canvas(1, 1, (4.3, 3.1), (0.7, 2.1, 0.55, 0.45))
        panel = axes[0, 0]
        drawn: dict[str, Line2D] = {}
        for (pruning, system), rows in own.groupby(["pruning", "system"], sort=False):
            label, colour = SYSTEMS[str(system)]
            marker = marker_of(list(own["pruning"].unique()).index(pruning))
            panel.errorbar(
                rows["place"], rows[metric], yerr=error_bars(rows, metric), color=colour, marker=marker, markersize=5,
                linestyle="", elinewidth=0.8, markeredgecolor="white", markeredgewidth=0.5,
            )  # fmt: skip
            drawn[label] = Line2D([], [], color=colour, marker="o", linestyle="", markersize=5)
        handles, labels = list(drawn.values()), list(drawn)
        if own["pruning"].nunique() > 1:
            handles += [_marker_handle(place) for place in range(own["pruning"].nunique())]
            labels += [short_label(name, own["pruning"]) for name in own["pruning"].unique()]
        style.legend_beside(panel, handles, labels)
        panel.set_xlabel("multiply-adds of the layers, over those of the library's dense model")
        panel.set_ylabel(CLASSIFICATION[metric].title)
        panel.set_xlim(left=0)
        panel.set_ylim(top=min(panel.get_ylim()[1], 1.02))
        panel.xaxis.set_major_formatter(PercentFormatter(1.0))
        panel.grid(True)
        line = f"test, {count(own['positive'].iloc[0], 'positive')} of {count(own['functions'].iloc[0], 'function')}"
        style.draw_title(figure, "Quality against cost, tokens removed", style.describe_data(context, own, line))
    return figure


def error_bars(rows: pd.DataFrame, column: str) -> np.ndarray:
    """Return how far 95 % intervals reach below and above a column's values, float64 ``(2, rows)``; 0 without one."""
    low, high = style.interval_ends(rows, column)
    return np.nan_to_num(np.stack([rows[column] - low, high - rows[column]]).clip(min=0))


def _side_by_side(costs: np.ndarray, gap: float) -> np.ndarray:
    """Return positions in which points of nearly equal cost are moved `gap` apart, around their mean."""
    order = np.argsort(costs, kind="stable")
    starts = np.flatnonzero(np.diff(costs[order], prepend=-np.inf) > gap / 3)
    places = costs.copy()
    for members in np.split(order, starts[1:]):
        places[members] = costs[members].mean() + gap * (np.arange(len(members)) - (len(members) - 1) / 2)
    return places


def dropped_where_possible(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows in which tokens are removed, and the rows of hard prunings that can only mask tokens."""
    key = "pruning" if "pruning" in rows else "system"
    dropped = set(rows.loc[(rows["system"] == "hard") & (rows["way"] == "dropped"), key])
    only_masked = (rows["system"] == "hard") & ~rows[key].isin(dropped)
    return rows[(rows["way"] == "dropped") | only_masked]


def classified_rightly(predictions: pd.DataFrame) -> pd.Series[bool]:
    """Return which rows predict their label, with the index of `predictions`."""
    return (predictions["probability"] >= THRESHOLD) == (predictions["label"] == 1)


def compared_systems(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the table `pruning` that are compared: a row per pruning and system, one of them dense."""
    own = dropped_where_possible(table)
    return own[(own["system"] != "dense") | ~own.duplicated("system")]  # one dense model is shared by all prunings


def draw_dots(
    axes: Axes, across: pd.Series[Any], up: pd.Series[Any], colour: str, among: int, label: str | None = None
) -> None:
    """Draw a dot for each function, of `among` dots that the figure has in all."""
    axes.plot(
        across, up, ".", color=colour, markersize=3.2, markeredgewidth=0, alpha=0.6, label=label,
        rasterized=among > MOST_DOTS,
    )  # fmt: skip


def marker_of(place: int) -> str:
    """Return the marker of the pruning at a place among those of a figure."""
    return MARKERS[place % len(MARKERS)]


def short_label(name: object, names: pd.Series[Any]) -> str:
    """Return a short label of a pruning: the settings that distinguish it from other `names`, else its mode."""
    if names.nunique() == 1:
        mode = str(parse_segment(str(name)).get("mode", name))
        return "learned" if mode == "threshold" else mode
    return textwrap.fill(spell_pruning(name, names.unique()), 26)


def _marker_handle(place: int) -> Line2D:
    return Line2D([], [], color=style.MUTED, marker=marker_of(place), linestyle="", markersize=5)


def line_styles() -> Iterator[tuple[str, str]]:
    """Yield pairs of a colour and a marker, each pair once."""
    for marker, colour in itertools.product(MARKERS, style.ATTENTION_COLOURS):
        yield colour, marker
