"""Figure of the pruned classifiers: lengths of the test functions before and after, for the first pruning and seed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sparse_attention.plotting import style
from sparse_attention.plotting.base import Plot
from sparse_attention.plotting.pruning import OUTCOMES, classified_rightly, draw_dots, dropped_where_possible


class PrunedLengths(Plot):
    """Length of each function before pruning against its length after the last layer; distributions by layer."""

    name = "pruned_lengths"
    title = "Lengths before and after"
    section = "pruning"
    category = "The pruned classifiers"
    order = 60
    needs = ("kept", "predictions")
    subject = ("code", "classifier")
    caption = """
    Left: number of tokens of each test function, before pruning against after the last layer; on the dashed line
    nothing is pruned. Right: distribution of the lengths before pruning and after each layer. The first pruning and
    seed are shown.
    """

    def draw(self, tables: Mapping[str, pd.DataFrame], setting: Mapping[str, Any]) -> Figure:
        kept, predictions = tables["kept"], tables["predictions"]
        own = dropped_where_possible(kept[kept["system"] == "hard"])
        predicted = dropped_where_possible(predictions[predictions["system"] == "hard"]).set_index("function")
        last = own[own["layer"] == own["layer"].max()].set_index("function")["kept"]
        right = classified_rightly(predicted)
        with style.house_style():
            figure, axes = style.canvas(1, 2, (3.2, 2.7), (0.55, 0.2, 0.6, 0.45), gridspec_kw={"wspace": 0.3})
            for wanted, (label, colour) in OUTCOMES.items():
                chosen = right[right == wanted].index
                draw_dots(axes[0, 0], predicted["tokens"][chosen], last[chosen], colour, len(right), label)
            longest = int(predicted["tokens"].max())
            axes[0, 0].plot([0, longest], [0, longest], color=style.MUTED, linewidth=0.8, linestyle=(0, (3, 1.2)))
            axes[0, 0].set_xlabel("tokens of the function")
            axes[0, 0].set_ylabel("tokens left by the last layer")
            axes[0, 0].legend(loc="upper left")
            _draw_histograms(axes[0, 1], predicted["tokens"], own, longest)
            style.draw_title(figure, "Lengths before and after", style.describe_data(setting, own))
        return figure


def _draw_histograms(axes: Axes, tokens: pd.Series[Any], kept: pd.DataFrame, longest: int) -> None:
    layers = sorted(kept["layer"].unique())
    shades = _shades(len(layers) + 1)
    bins = np.linspace(0, longest, 25).tolist()
    # a wide line stays visible where the first layer keeps all tokens
    axes.hist(tokens, bins=bins, histtype="step", color=shades[0], label="before", linewidth=3.5)
    for layer, colour in zip(layers, shades[1:], strict=True):
        values = kept[kept["layer"] == layer]["kept"]
        axes.hist(values, bins=bins, histtype="step", color=colour, label=f"left by layer {layer + 1}", linewidth=1.2)
    axes.set_xlabel("tokens")
    axes.set_ylabel("functions")
    axes.legend(loc="upper center")


def _shades(number: int) -> list[Any]:
    return [matplotlib.colormaps["viridis_r"](place) for place in np.linspace(0.15, 1, number)]
