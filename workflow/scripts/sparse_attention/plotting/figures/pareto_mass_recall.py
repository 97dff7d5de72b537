"""Figure: mass recall against sparsity."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from sparse_attention.plotting.base import Plot
from sparse_attention.plotting.pareto import tradeoff


class ParetoMassRecall(Plot):
    """Mass recall against sparsity, a curve per predictor."""

    name = "pareto_mass_recall"
    title = "Mass recall against sparsity"
    section = "metrics"
    category = "The predictors"
    order = 10
    needs = ("predictors",)
    settings = ("figures.window", "figures.keep")
    explored = ("predictors", "sparsity", "mass_recall", "front")
    caption = """
    Mass recall against sparsity: recall in which each gold pair is weighted by its attention probability.
    A predictor that misses only pairs of low probability has a higher mass recall than recall.
    """

    def draw(self, tables: Mapping[str, pd.DataFrame], setting: Mapping[str, Any]) -> Figure:
        return tradeoff(tables["predictors"], "mass_recall", setting)
