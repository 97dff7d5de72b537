"""Figure: what the language model loses under predicted attention against the mass recall of the supports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from sparse_attention.plotting import style
from sparse_attention.plotting.base import Plot
from sparse_attention.plotting.sparse_mlm import draw_panels, draw_points

LINEAR = 0.1
"""The y axis is linear up to this increase in nats and logarithmic above it, where a value is above `WIDE`."""
WIDE = 0.5
TICKS = (-5, -2, -1, -0.5, -0.2, -0.1, 0, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20)
FULL: dict[str, Any] = {"color": style.GOLD, "linewidth": 1.4}


class SparseMlmIncrease(Plot):
    """A marker for each point."""

    name = "sparse_mlm_increase"
    title = "Loss increase against mass recall"
    section = "sparse_mlm"
    category = "The language model under predicted attention"
    order = 20
    needs = ("sparse_mlm",)
    explored = ("sparse_mlm", "mass_recall", "loss_increase", "none")
    caption = """
    What the masked language model loses under predicted attention, over full entmax attention with the same blocks and
    masks, against the share of the attention probability that falls on predicted pairs (on the activations that reach
    each layer, averaged over layers and heads). If mass recall says what a support is worth, the points of all
    predictors lie on one curve. Bars are 95 % bootstrap intervals over documents and seeds.
    """

    def draw(self, tables: Mapping[str, pd.DataFrame], setting: Mapping[str, Any]) -> Figure:
        table = tables["sparse_mlm"]
        known = table["loss_increase"].dropna().to_numpy(dtype=float)
        wide = float(np.abs(known).max()) > WIDE

        def panel(axes: Axes, rows: pd.DataFrame, full: pd.DataFrame) -> None:
            axes.axhline(0, zorder=1.5, **FULL)
            draw_points(axes, rows, rows["mass_recall"].to_numpy(dtype=float), "loss_increase", joined=False)
            axes.set_xlim(-0.03, 1.03)
            if wide:
                _stretch(axes, float(known.min()), float(known.max()))

        labels = (
            "Mass recall (share of attention probability on predicted pairs)",
            "Loss increase (nats per masked token)",
        )
        notes = [f"logarithmic above {LINEAR:g} nats"] if wide else []
        handles = [Line2D([], [], label="full attention", **FULL)]
        return draw_panels(table, self.title, labels, setting, panel, handles, *notes)


def _stretch(axes: Axes, low: float, high: float) -> None:
    """Make the y axis logarithmic above `LINEAR`, so that small increases can be told apart beside large ones."""
    axes.set_yscale("symlog", linthresh=LINEAR, linscale=0.6)
    axes.set_ylim(min(low * 1.3, -0.3 * LINEAR), high * 1.3)
    bottom, top = axes.get_ylim()
    axes.yaxis.set_major_locator(FixedLocator([tick for tick in TICKS if bottom <= tick <= top]))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
