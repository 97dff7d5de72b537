"""Figure of the pruned classifiers: lengths left by each layer, of functions classified rightly and wrongly."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, PercentFormatter

from sparse_attention.plotting import style
from sparse_attention.plotting.base import Plot
from sparse_attention.plotting.pruning import OUTCOMES, classified_rightly, draw_dots, dropped_where_possible
from sparse_attention.summaries.wording import count

COLUMNS = 4
PANEL, SPREAD = (1.42, 1.35), 1.45
"""Size of the panel of a layer, and height of the panel of distributions, in inches."""
LEFT, TOP, GAP, BELOW = 0.72, 0.95, (0.17, 0.32), 0.5
"""Margins, gaps between panels, and room for the labels below panels, in inches."""
BINS = 30
"""The distributions have about this many steps, each a whole number of tokens wide."""


class PrunedLengthsByLayer(Plot):
    """A panel for each layer, and the distributions of the lengths that the last one leaves."""

    name = "pruned_lengths_by_layer"
    title = "Lengths left by each layer"
    section = "pruning"
    category = "The pruned classifiers"
    order = 62
    needs = ("kept", "predictions")
    subject = ("code", "classifier")
    caption = """
    A dot for each test function: its number of tokens before pruning against the number that a layer leaves; on the
    dashed line nothing is pruned. The title of a panel gives the share of the tokens that are left, averaged over
    functions. Functions that are cut to what the model reads stand in one column at the right. Below: how many tokens
    the last layer leaves, as a share of the functions that are classified rightly and of those that are classified
    wrongly. The first pruning and seed are shown.
    """

    def draw(self, tables: Mapping[str, pd.DataFrame], setting: Mapping[str, Any]) -> Figure:
        kept, predictions = tables["kept"], tables["predictions"]
        own = dropped_where_possible(kept[kept["system"] == "hard"])
        predicted = dropped_where_possible(predictions[predictions["system"] == "hard"]).set_index("function")
        right, tokens = classified_rightly(predicted), predicted["tokens"]
        layers = sorted(own["layer"].unique())
        with style.house_style():
            figure, panels, spread = _panels(len(layers))
            for panel, layer in zip(panels, layers, strict=True):
                left = own[own["layer"] == layer].set_index("function")["kept"]
                _draw_layer(panel, tokens, left, right, len(own))
                share = float((left / tokens[left.index]).mean())
                style.panel_title(panel, f"layer {layer + 1}: {share:.0%} left")
            _label(panels, int(tokens.max()))
            _draw_spread(spread, left, right)
            figure.legend(
                handles=_legend(right), loc="upper left", ncols=2, borderaxespad=0, borderpad=0,
                bbox_to_anchor=(LEFT / style.WIDTH, 1 - 0.5 / figure.get_figheight()),
            )  # fmt: skip
            functions = count(len(predicted), "test function")
            style.draw_title(figure, self.title, style.describe_data(setting, own, functions))
        return figure


def _panels(layers: int) -> tuple[Figure, list[Axes], Axes]:
    """Return a figure, a panel for each layer in rows of `COLUMNS`, and a wide panel below them."""
    rows, (width, height) = math.ceil(layers / COLUMNS), PANEL
    bottom = BELOW + SPREAD + BELOW + 0.2
    figure = Figure(figsize=(style.WIDTH, TOP + rows * height + (rows - 1) * GAP[1] + bottom))
    panels: list[Axes] = []
    for number in range(layers):
        row, column = divmod(number, COLUMNS)
        place = LEFT + column * (width + GAP[0]), bottom + (rows - 1 - row) * (height + GAP[1])
        shared: dict[str, Any] = {"sharex": panels[0], "sharey": panels[0]} if panels else {}
        panels.append(figure.add_axes(style.figure_shares(figure, (*place, width, height)), **shared))
    wide = COLUMNS * width + (COLUMNS - 1) * GAP[0]
    return figure, panels, figure.add_axes(style.figure_shares(figure, (LEFT, BELOW, wide, SPREAD)))


def _draw_layer(axes: Axes, tokens: pd.Series[Any], left: pd.Series[Any], right: pd.Series[bool], among: int) -> None:
    longest = int(tokens.max())
    axes.plot([0, longest], [0, longest], color=style.MUTED, linewidth=0.8, linestyle=(0, (3, 1.2)), zorder=1)
    for wanted, (_, colour) in OUTCOMES.items():
        chosen = right[right == wanted].index
        draw_dots(axes, tokens[chosen], left[chosen], colour, among)


def _label(panels: list[Axes], longest: int) -> None:
    """Label the outer panels, and give all the same limits."""
    for number, panel in enumerate(panels):
        panel.set(xlim=(0, 1.04 * longest), ylim=(0, 1.04 * longest))
        panel.xaxis.set_major_locator(MaxNLocator(3, integer=True))
        panel.yaxis.set_major_locator(MaxNLocator(3, integer=True))
        lowest = number + COLUMNS >= len(panels)
        panel.tick_params(labelleft=number % COLUMNS == 0, labelbottom=lowest)
        panel.set_ylabel("tokens left" if number % COLUMNS == 0 else "")
        panel.set_xlabel("tokens before" if lowest else "")


def _draw_spread(axes: Axes, left: pd.Series[Any], right: pd.Series[bool]) -> None:
    """Draw the distribution of lengths of each outcome, each of them adding up to 100 %."""
    step = math.ceil((left.max() + 1) / BINS)
    bins = np.arange(0, left.max() + 1 + step, step).tolist()
    for wanted, (_, colour) in OUTCOMES.items():
        values = left[right[right == wanted].index]
        if len(values):
            weights = np.full(len(values), 1 / len(values))
            axes.hist(values, bins, weights=weights, histtype="step", color=colour, linewidth=1.4)
            axes.axvline(float(values.median()), color=colour, linewidth=1, linestyle=(0, (1, 1.2)))
    axes.set(xlabel="tokens left by the last layer (dotted: median)", ylabel="share of functions", xlim=(0, bins[-1]))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(4))


def _legend(right: pd.Series[bool]) -> list[Line2D]:
    """Return a handle for each outcome, with the number of its functions."""
    return [
        Line2D(
            [], [], linestyle="", marker="o", markersize=4, color=colour, label=f"{words} ({(right == wanted).sum()})"
        )
        for wanted, (words, colour) in OUTCOMES.items()
    ]
