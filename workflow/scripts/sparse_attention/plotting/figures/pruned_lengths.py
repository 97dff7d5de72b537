"""Pruned classifiers: lengths of the functions before and after, in the first pruning and seed."""

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
from sparse_attention.plotting.pruning import best_way


class PrunedLengths(Plot):
    """Each function's tokens against those that the last layer leaves, and how lengths are spread by layer."""

    name = "pruned_lengths"
    title = "Lengths before and after"
    section = "pruning"
    category = "The pruned classifiers"
    order = 60
    needs = ("kept", "predictions")
    subject = ("code", "classifier")
    caption = """
    Left: tokens of each test function against those that the last layer leaves; the dashed line is no pruning.
    Right: how the lengths are spread before, and after each layer. Of the first pruning and seed.
    """

    def draw(self, tables: Mapping[str, pd.DataFrame], setting: Mapping[str, Any]) -> Figure:
        kept, predictions = tables["kept"], tables["predictions"]
        own = best_way(kept[kept["system"] == "hard"])
        said = best_way(predictions[predictions["system"] == "hard"]).set_index("function")
        last = own[own["layer"] == own["layer"].max()].set_index("function")["kept"]
        right = (said["probability"] >= 0.5) == (said["label"] == 1)
        with style.house_style():
            figure, axes = style.canvas(1, 2, (3.2, 2.7), (0.55, 0.2, 0.6, 0.45), gridspec_kw={"wspace": 0.3})
            for wanted, colour, label in ((True, "#0072B2", "classified rightly"), (False, "#D55E00", "wrongly")):
                chosen = right[right == wanted].index
                axes[0, 0].plot(
                    said["tokens"][chosen], last[chosen], ".", color=colour, markersize=3.5, alpha=0.6, label=label
                )  # fmt: skip
            longest = int(said["tokens"].max())
            axes[0, 0].plot([0, longest], [0, longest], color=style.MUTED, linewidth=0.8, linestyle=(0, (3, 1.2)))
            axes[0, 0].set_xlabel("tokens of the function")
            axes[0, 0].set_ylabel("tokens left by the last layer")
            axes[0, 0].legend(loc="upper left")
            _histograms(axes[0, 1], said["tokens"], own, longest)
            style.head_line(figure, "Lengths before and after", style.state(setting, own))
        return figure


def _histograms(axes: Axes, tokens: pd.Series[Any], kept: pd.DataFrame, longest: int) -> None:
    layers = sorted(kept["layer"].unique())
    shades = _shades(len(layers) + 1)
    bins = np.linspace(0, longest, 25).tolist()
    # wide, so that it is seen where the first layer leaves all
    axes.hist(tokens, bins=bins, histtype="step", color=shades[0], label="before", linewidth=3.5)
    for layer, colour in zip(layers, shades[1:], strict=True):
        values = kept[kept["layer"] == layer]["kept"]
        axes.hist(values, bins=bins, histtype="step", color=colour, label=f"left by layer {layer + 1}", linewidth=1.2)
    axes.set_xlabel("tokens")
    axes.set_ylabel("functions")
    axes.legend(loc="upper center")


def _shades(number: int) -> list[Any]:
    return [matplotlib.colormaps["viridis_r"](place) for place in np.linspace(0.15, 1, number)]
