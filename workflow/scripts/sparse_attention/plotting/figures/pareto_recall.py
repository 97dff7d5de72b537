"""Recall against sparsity."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from sparse_attention.plotting.base import Plot
from sparse_attention.plotting.pareto import tradeoff


class ParetoRecall(Plot):
    """Recall, a curve per predictor."""

    name = "pareto_recall"
    title = "Recall against sparsity"
    section = "predictors"
    category = "The predictors"
    order = 10
    needs = ("predictors",)
    settings = ("figures.window", "figures.keep")
    caption = """
    Recall against sparsity, averaged over layers, heads and examples: up and to the right is better.
    Each curve joins the points of one predictor that none of its other points beats (its Pareto front), by what
    using the one point for some queries and the next for the rest gives; faint markers are the points that are
    beaten, bands are 95 % intervals over seeds.
    Many predictors are divided into panels of predictors alike; the thick pale line is then the best that the other
    panels offer, so a curve above it leads. Legends name the curve with the largest area first.
    Dashed curves ignore content. Random pairs are the floor; the oracle takes the k keys of each query with the
    highest true scores.
    The gold line is the sparsity of the gold support: a perfect predictor would reach recall 1 there.
    """

    def draw(self, tables: Mapping[str, pd.DataFrame], setting: Mapping[str, Any]) -> Figure:
        return tradeoff(tables["predictors"], "recall", setting)
