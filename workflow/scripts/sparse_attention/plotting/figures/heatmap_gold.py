"""Figure: the gold sparsity of every layer and head."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from sparse_attention.plotting import style
from sparse_attention.plotting.base import Plot
from sparse_attention.plotting.heatmaps import draw_panels
from sparse_attention.summaries.wording import spell


class HeatmapGold(Plot):
    """The gold sparsity of every head, a panel per attention."""

    name = "heatmap_gold"
    title = "Gold sparsity by layer and head"
    section = "gold"
    category = "The gold support"
    order = 10
    needs = ("gold_sparsity",)
    caption = """
    Gold sparsity of every layer and head: the share of query–key pairs that get exactly zero probability in full
    entmax attention.
    Dark cells are sparse heads, for which predicting the support saves most.
    """

    def draw(self, tables: Mapping[str, pd.DataFrame], setting: Mapping[str, Any]) -> Figure:
        gold = tables["gold_sparsity"]
        panels = [(spell(str(name)), rows, "gold_sparsity") for name, rows in gold.groupby("attention", sort=False)]
        return draw_panels([panels], "Gold sparsity of every head", style.describe_data(setting, gold))
