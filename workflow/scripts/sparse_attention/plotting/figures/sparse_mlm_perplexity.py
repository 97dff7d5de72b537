"""Figure: perplexity of the language model under predicted attention against sparsity."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from sparse_attention.files.segments import alpha_of
from sparse_attention.plotting import style
from sparse_attention.plotting.base import Plot
from sparse_attention.plotting.panels import set_sparsity_axis
from sparse_attention.plotting.pareto_points import SPARSITY
from sparse_attention.plotting.sparse_mlm import draw_panels, draw_points
from sparse_attention.summaries.sparse_mlm_jobs import FULL

GOLD: dict[str, Any] = {"color": style.GOLD, "linewidth": 1.0, "linestyle": (0, (1, 1.2))}
"""The line at the sparsity of the gold support."""
LINES: dict[bool, dict[str, Any]] = {
    True: {"color": style.GOLD, "linewidth": 1.4, "linestyle": "-"},
    False: {"color": style.INK, "linewidth": 1.0, "linestyle": (0, (5, 3))},
}
"""The lines of full attention: with the panel's own entmax, and with softmax."""
WIDE = 2.5
"""The y axis is logarithmic where the highest value is at least this many times the lowest."""


class SparseMlmPerplexity(Plot):
    """A marker for each point, lines for full attention."""

    name = "sparse_mlm_perplexity"
    title = "Perplexity against sparsity"
    section = "sparse_mlm"
    category = "The language model under predicted attention"
    order = 10
    needs = ("sparse_mlm", "sparse_mlm_by_head")
    explored = ("sparse_mlm", "sparsity", "perplexity", "all")
    caption = """
    Perplexity of the masked language model when each predictor's support takes the place of full attention in all
    layers, against the share of pairs that are skipped on average; lower and further right is better.
    Lines join the points of a predictor with the same projection, window and kept tokens; the table says which these
    are. Horizontal lines are full attention on the same blocks, of the models that the legend names. The vertical line
    is the sparsity of the gold support: where it meets full attention with entmax, a perfect predictor would be. Stars,
    where there are any, are models that were trained further with the predicted supports; a dotted line leads to them
    from the point where they started. Bars are 95 % intervals over seeds when there are several. Points that keep no
    pair are not drawn.
    """

    def draw(self, tables: Mapping[str, pd.DataFrame], setting: Mapping[str, Any]) -> Figure:
        table = tables["sparse_mlm"]
        table = table[(table["predictor"] == FULL) | (table["sparsity"] < 1)]
        kept = 1 - table["sparsity"].dropna().to_numpy(dtype=float)
        gold = _gold_sparsity(tables["sparse_mlm_by_head"])
        kept = np.append(kept, [1 - value for value in gold.values()])
        softmax = table["attention"].map(alpha_of) == 1
        values = table["perplexity"].to_numpy(dtype=float)
        ends = float(values.min()), float(values.max())

        def panel(axes: Axes, rows: pd.DataFrame, full: pd.DataFrame) -> None:
            own = full["attention"] == rows["attention"].iloc[0]
            for is_own, lines in ((True, full[own]), (False, full[full["attention"].map(alpha_of) == 1])):
                for value in lines["perplexity"]:
                    axes.axhline(value, zorder=1.5, **LINES[is_own])
            if (sparsity := gold.get(str(rows["attention"].iloc[0]))) is not None:
                axes.axvline(1 - sparsity, zorder=1, **GOLD)
            draw_points(axes, rows, 1 - rows["sparsity"].to_numpy(dtype=float), "perplexity", joined=True)
            set_sparsity_axis(axes, min(kept.max() * 1.18, 1.0), kept.min() / 1.3)
            _set_height(axes, *ends)

        handles = [Line2D([], [], label="full attention, entmax", **LINES[True])]
        handles += [Line2D([], [], label="full attention, softmax", **LINES[False])] * bool(softmax.any())
        handles += [Line2D([], [], label="gold sparsity", **GOLD)] * bool(gold)
        labels = SPARSITY.short, "Perplexity" + (" (logarithmic)" if ends[1] >= WIDE * ends[0] else "")
        return draw_panels(table, self.title, labels, setting, panel, handles)


def _gold_sparsity(heads: pd.DataFrame) -> dict[str, float]:
    """Return the sparsity of the gold support of full attention, over layers and heads, by attention.

    Every point is compared with the same gold support, so the mean over points is that of each. A support that keeps
    every pair, or none, has no place on the axis.
    """
    full = heads[(heads["gold"] == "dense") & (heads["finetuned"] == 0)]
    means = full.groupby("attention", sort=False)["gold_sparsity"].mean()
    return {str(name): float(value) for name, value in means.items() if 0 < value < 1}


def _set_height(axes: Axes, low: float, high: float) -> None:
    """Set limits from the values alone, because an interval over two seeds can be wider than all of them."""
    if high < WIDE * low:
        room = 0.08 * (high - low) or 0.05 * high
        axes.set_ylim(low - room, high + room)
        return
    room = (high / low) ** 0.06
    axes.set_yscale("log")
    axes.set_ylim(low / room, high * room)
    axes.yaxis.set_major_locator(FixedLocator(_round_numbers(low / room, high * room)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))


def _round_numbers(low: float, high: float) -> Sequence[float]:
    """Return round numbers between two ends, about five of them on a logarithmic axis."""
    steps: tuple[float, ...] = (1, 2, 5) if high / low > 12 else (1, 1.5, 2, 3, 4, 6, 8)
    steps = (1,) if high / low > 2e4 else steps
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [value for power in powers for value in np.array(steps) * 10.0**power if low <= value <= high]
