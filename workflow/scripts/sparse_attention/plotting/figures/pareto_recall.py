"""Figure: recall against sparsity."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from sparse_attention.plotting.base import Plot
from sparse_attention.plotting.pareto import tradeoff


class ParetoRecall(Plot):
    """Recall against sparsity, a curve per predictor."""

    name = "pareto_recall"
    title = "Recall against sparsity"
    section = "predictors"
    category = "The predictors"
    order = 10
    needs = ("predictors",)
    settings = ("figures.window", "figures.keep")
    explored = ("predictors", "sparsity", "recall", "front")
    caption = """
    Recall against sparsity, averaged over layers, heads and examples: up and to the right is better.
    Each curve joins the points on the Pareto front of one predictor. Between two points it shows the result of using
    one point for some queries and the next point for the rest. Faint markers are points below the front; bands are
    95 % intervals over seeds when there are several.
    Many predictors are divided into a panel for each group. The thick pale line is then the best front of the other
    panels, so a curve above it is the best of all. Legends list the curve with the largest area first.
    Dashed curves are patterns that ignore content. Where they were run, random pairs are the lower bound; the oracle
    keeps the k keys of each query with the highest true scores and is the upper bound.
    The gold line is the sparsity of the gold support: a perfect predictor would reach recall 1 there.
    """

    def draw(self, tables: Mapping[str, pd.DataFrame], setting: Mapping[str, Any]) -> Figure:
        return tradeoff(tables["predictors"], "recall", setting)
