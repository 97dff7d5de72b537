"""Figure of the pruned classifiers: the share of tokens that each layer keeps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from sparse_attention.plotting import style
from sparse_attention.plotting.base import Plot
from sparse_attention.plotting.pruning import dropped_where_possible, line_styles, short_label


class KeptByLayer(Plot):
    """The share of tokens that each layer keeps, a line per pruning."""

    name = "kept_by_layer"
    title = "Tokens left by each layer"
    section = "pruning"
    category = "The pruned classifiers"
    order = 40
    needs = ("pruning_layers",)
    subject = ("code", "classifier")
    caption = """
    The share of a test function's tokens that each layer keeps, averaged over functions; bands are 95 % intervals
    over seeds when there are several.
    """

    def draw(self, tables: Mapping[str, pd.DataFrame], setting: Mapping[str, Any]) -> Figure:
        layers = tables["pruning_layers"]
        own = dropped_where_possible(layers[layers["system"] == "hard"])
        with style.house_style():
            figure, axes = style.canvas(1, 1, (4.3, 2.8), (0.7, 2.1, 0.55, 0.45))
            panel = axes[0, 0]
            for (name, rows), (colour, marker) in zip(own.groupby("pruning", sort=False), line_styles(), strict=False):
                depths = [0, *(rows["layer"] + 1)]
                label = short_label(name, own["pruning"])
                panel.plot(depths, [1, *rows["kept_share"]], color=colour, marker=marker, label=label)
                if rows["kept_share_ci95"].notna().any():
                    low, high = (
                        rows["kept_share"] - rows["kept_share_ci95"],
                        rows["kept_share"] + rows["kept_share_ci95"],
                    )
                    panel.fill_between(depths[1:], low, high, color=colour, alpha=0.15, linewidth=0)
            panel.set_xlabel("after layer (0: what enters the first)")
            panel.set_ylabel("share of the tokens left")
            panel.set_ylim(0, 1.02)
            panel.yaxis.set_major_formatter(PercentFormatter(1.0))
            panel.grid(True, axis="y")
            panel.xaxis.set_major_locator(MaxNLocator(integer=True))
            style.legend_beside(panel, *panel.get_legend_handles_labels())
            style.draw_title(figure, "Tokens left by each layer", style.describe_data(setting, own))
        return figure
