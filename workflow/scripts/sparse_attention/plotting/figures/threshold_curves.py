"""Figure of the pruned classifiers: thresholds before and after training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from sparse_attention.plotting import style
from sparse_attention.plotting.base import Plot
from sparse_attention.plotting.pruning import line_styles, short_label


class ThresholdCurves(Plot):
    """Thresholds of each layer before and after training."""

    name = "threshold_curves"
    title = "Thresholds before and after"
    section = "pruning"
    category = "The pruned classifiers"
    order = 50
    needs = ("thresholds",)
    may_be_empty = ("thresholds",)
    subject = ("code", "classifier")
    caption = """
    Thresholds of the importance score, by layer: dashed lines before training, solid lines after it.
    """

    def draw(self, tables: Mapping[str, pd.DataFrame], setting: Mapping[str, Any]) -> Figure:
        table = tables["thresholds"]
        if table.empty:
            return style.blank_figure(self.title, style.describe_data(setting, table), "No pruning has thresholds.")
        with style.house_style():
            figure, axes = style.canvas(1, 1, (4.4, 2.8), (0.75, 2.1, 0.55, 0.45))
            panel = axes[0, 0]
            for (name, rows), (colour, marker) in zip(
                table.groupby("pruning", sort=False), line_styles(), strict=False
            ):
                depths = rows["layer"] + 1
                panel.plot(depths, rows["before"], color=colour, linestyle=(0, (3, 1.2)), linewidth=1, alpha=0.7)
                panel.plot(
                    depths, rows["after"], color=colour, marker=marker, label=short_label(name, table["pruning"])
                )
            handles, labels = panel.get_legend_handles_labels()
            handles.append(Line2D([], [], color=style.MUTED, linestyle=(0, (3, 1.2)), linewidth=1))
            style.legend_beside(panel, handles, [*labels, "before"])
            panel.set_xlabel("layer")
            panel.set_ylabel("threshold of the importance score")
            panel.set_ylim(bottom=min(0, panel.get_ylim()[0]))
            panel.xaxis.set_major_locator(MaxNLocator(integer=True))
            panel.grid(True, axis="y")
            style.draw_title(figure, "Thresholds before and after", style.describe_data(setting, table))
        return figure
