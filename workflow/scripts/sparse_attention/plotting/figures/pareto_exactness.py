"""Figure: exactness against sparsity."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from sparse_attention.plotting.base import Plot
from sparse_attention.plotting.pareto import tradeoff


class ParetoExactness(Plot):
    """Exactness against sparsity, a curve per predictor."""

    name = "pareto_exactness"
    title = "Exactness against sparsity"
    section = "metrics"
    category = "The predictors"
    order = 20
    needs = ("predictors",)
    settings = ("figures.window", "figures.keep")
    explored = ("predictors", "sparsity", "exactness", "front")
    caption = """
    Exactness against sparsity: the share of queries whose whole gold support is predicted.
    For those queries sparse entmax attention equals full attention, digit for digit.
    """

    def draw(self, tables: Mapping[str, pd.DataFrame], setting: Mapping[str, Any]) -> Figure:
        return tradeoff(tables["predictors"], "exactness", setting)
