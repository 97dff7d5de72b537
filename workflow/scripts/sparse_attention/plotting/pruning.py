"""Pruned classifiers: tokens left, thresholds before and after, quality against cost."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from sparse_attention.files.segments import parse_segment
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
MARKERS = "osD^vP*X<>pdH"


def quality(table: pd.DataFrame, metric: str, context: Mapping[str, Any]) -> Figure:
    """Draw a metric against the multiply-adds, relative to the dense library model, with bootstrap intervals.

    Parameters
    ----------
    table : pandas.DataFrame
        The table `pruning`.
    metric : str
        A column of it.
    context : mapping
        `corpus` and `model`.
    """
    own = best_way(table)
    own = own[(own["system"] != "dense") | ~own.duplicated("system")]  # one dense model is shared by all prunings
    gap = 0.012 * own["relative_flops"].max()
    places = own.groupby("pruning")["relative_flops"].transform(lambda costs: _side_by_side(costs.to_numpy(), gap))
    own = own.assign(place=places)
    with style.house_style():
        figure, axes = style.canvas(1, 1, (4.3, 3.1), (0.7, 2.1, 0.55, 0.45))
        panel = axes[0, 0]
        drawn: dict[str, Line2D] = {}
        for (pruning, system), rows in own.groupby(["pruning", "system"], sort=False):
            label, colour = SYSTEMS[str(system)]
            marker = _marker(list(own["pruning"].unique()).index(pruning)).get_marker()
            panel.errorbar(
                rows["place"], rows[metric], yerr=bars(rows, metric), color=colour, marker=marker, markersize=5,
                linestyle="", elinewidth=0.8, markeredgecolor="white", markeredgewidth=0.5,
            )  # fmt: skip
            drawn[label] = Line2D([], [], color=colour, marker="o", linestyle="", markersize=5)
        handles, labels = list(drawn.values()), list(drawn)
        if own["pruning"].nunique() > 1:
            handles += [_marker(place) for place in range(own["pruning"].nunique())]
            labels += [short(name, own["pruning"]) for name in own["pruning"].unique()]
        style.legend_beside(panel, handles, labels)
        panel.set_xlabel("multiply-adds of the layers, over those of the library's dense model")
        panel.set_ylabel(CLASSIFICATION[metric].title)
        panel.set_xlim(left=0)
        panel.set_ylim(top=min(panel.get_ylim()[1], 1.02))
        panel.xaxis.set_major_formatter(PercentFormatter(1.0))
        panel.grid(True)
        line = f"test, {count(own['positive'].iloc[0], 'positive')} of {count(own['functions'].iloc[0], 'function')}"
        style.head_line(figure, "Quality against cost, tokens removed", style.state(context, own, line))
    return figure


def bars(rows: pd.DataFrame, column: str) -> np.ndarray:
    """Return how far the 95 % intervals of a column reach below and above it, float64 `(2, rows)`; 0 without one."""
    low, high = style.limits(rows, column)
    return np.nan_to_num(np.stack([rows[column] - low, high - rows[column]]).clip(min=0))


def _side_by_side(costs: np.ndarray, gap: float) -> np.ndarray:
    """Return where points of nearly equal costs are drawn: `gap` apart, around their mean; the others stay."""
    order = np.argsort(costs, kind="stable")
    starts = np.flatnonzero(np.diff(costs[order], prepend=-np.inf) > gap / 3)
    places = costs.copy()
    for members in np.split(order, starts[1:]):
        places[members] = costs[members].mean() + gap * (np.arange(len(members)) - (len(members) - 1) / 2)
    return places


def best_way(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with tokens removed, and those of hard pruning that can only hide them."""
    keys = ["pruning"] if "pruning" in rows else ["system"]
    dropped = set(rows.loc[(rows["system"] == "hard") & (rows["way"] == "dropped"), keys[0]])
    hides = (rows["system"] == "hard") & ~rows[keys[0]].isin(dropped)
    return rows[(rows["way"] == "dropped") | hides]


def short(name: object, names: pd.Series[Any]) -> str:
    """Spell a pruning by what tells it from the others; a single one by its mode."""
    if names.nunique() == 1:
        mode = str(parse_segment(str(name)).get("mode", name))
        return "learned" if mode == "threshold" else mode
    return textwrap.fill(spell_pruning(name, names.unique()), 26)


def _marker(place: int) -> Line2D:
    shape = MARKERS[place % len(MARKERS)]
    return Line2D([], [], color=style.MUTED, marker=shape, linestyle="", markersize=5)


def line_looks() -> Iterator[tuple[str, str]]:
    """Yield a colour and a marker for each line, no pair twice."""
    for marker, colour in itertools.product(MARKERS, style.ATTENTION_COLOURS):
        yield colour, marker
