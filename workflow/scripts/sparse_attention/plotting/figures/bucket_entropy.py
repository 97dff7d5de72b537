"""Figure: how evenly quantizers fill their buckets."""

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
from sparse_attention.plotting.bucket_panels import draw_key, label_axes, panel_grid, panels_of
from sparse_attention.plotting.curves import layer_colours
from sparse_attention.plotting.selection import one_projection

LINES: dict[str, Any] = {"queries": "-", "keys": (0, (3, 1.2))}


class BucketEntropy(Plot):
    """Entropy of the buckets of queries and of keys against the number of buckets, a panel per predictor."""

    name = "bucket_entropy"
    title = "Entropy of the buckets"
    section = "buckets"
    category = "The buckets"
    order = 10
    needs = ("buckets",)
    caption = """
    Entropy of the buckets against the number of buckets, for queries and for keys in every layer, averaged over heads.
    The logarithm is to the base of the number of buckets, so 1 means that all buckets are equally full.
    Low entropy means a few large buckets: they keep many pairs and save little. Where queries and keys have
    different entropies, they lie in different regions.
    """

    def draw(self, tables: Mapping[str, pd.DataFrame], setting: Mapping[str, Any]) -> Figure:
        rows = one_projection(tables["buckets"])
        keys = ["attention", "predictor", "label", "layer", "side", "buckets"]
        means = rows.groupby(keys, sort=False)["entropy"].mean()
        panels = panels_of(means.reset_index())
        colours = layer_colours(rows["layer"].unique())
        layers = list(colours)
        with style.house_style():
            figure, places = panel_grid(panels)
            for (title, own), axes in zip(panels, places, strict=True):
                for (layer, side), line in own.groupby(["layer", "side"], sort=False):
                    line = line.sort_values("buckets")
                    drawn = {"linestyle": LINES.get(str(side), "-"), "color": colours[layer], "linewidth": 1.2}
                    axes.plot(line["buckets"], line["entropy"], marker=".", markersize=3.5, **drawn)
                _set_bucket_axis(axes, sorted(own["buckets"].unique()))
                style.panel_title(axes, title)
            figure.axes[0].set_ylim(0, max(1.04, 1.04 * float(means.max())))
            label_axes(figure, "Buckets", "Entropy (1: all equally full)", len(panels))
            places_shown = np.linspace(0, len(layers) - 1, min(len(layers), 8)).round().astype(int)
            shown = [layers[place] for place in places_shown]
            handles = [Line2D([], [], color=colours[layer], linewidth=2, label=f"layer {layer}") for layer in shown]
            for side, dashes in LINES.items():
                handles.append(Line2D([], [], color=style.MUTED, linestyle=dashes, linewidth=1.2, label=side))
            draw_key(figure, handles, 5)
            style.draw_title(figure, "How evenly queries and keys fill the buckets", style.describe_data(setting, rows))
        return figure


def _set_bucket_axis(axes: Axes, counts: list[float]) -> None:
    axes.set_xscale("log", base=2)
    shown = [value for place, value in enumerate(counts) if place % -(-len(counts) // 5) == 0]
    axes.xaxis.set_major_locator(FixedLocator(shown))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
    axes.tick_params(labelsize=7)
    axes.grid(True)
