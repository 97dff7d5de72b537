"""Figure of the pruned classifiers: operations of each test function by its length, for the first pruning and seed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from sparse_attention.plotting import style
from sparse_attention.plotting.base import Plot
from sparse_attention.plotting.pruning import draw_dots, dropped_where_possible


class PrunedOperations(Plot):
    """Cost of each function without and with pruning, against its number of tokens."""

    name = "pruned_operations"
    title = "Operations by length"
    section = "pruning"
    category = "The pruned classifiers"
    order = 65
    needs = ("predictions",)
    subject = ("code", "classifier")
    caption = """
    Floating-point operations of each test function against its number of tokens: those of the dense classifier, and
    of the pruned one, whose tokens are removed from the tensors where the model allows it. Of functions of the same
    length, those that lie lower keep fewer tokens. The first pruning and seed are shown.
    """

    def draw(self, tables: Mapping[str, pd.DataFrame], setting: Mapping[str, Any]) -> Figure:
        predictions = tables["predictions"]
        hard = dropped_where_possible(predictions[predictions["system"] == "hard"])
        with style.house_style():
            figure, axes = style.canvas(1, 1, (4.3, 2.8), (0.7, 2.1, 0.55, 0.45))
            panel = axes[0, 0]
            for column, colour, label in (("dense_gflops", "#0072B2", "dense"), ("gflops", "#D55E00", "pruned")):
                draw_dots(panel, hard["tokens"], hard[column], colour, 2 * len(hard), label)
            panel.set_xlabel("tokens of the function")
            panel.set_ylabel("10⁹ operations")
            panel.set_xlim(left=0)
            panel.set_ylim(bottom=0)
            style.legend_beside(panel, *panel.get_legend_handles_labels())
            style.draw_title(figure, self.title, style.describe_data(setting, hard))
        return figure
