"""Figure: recall against computation sparsity."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from sparse_attention.plotting.base import Plot
from sparse_attention.plotting.pareto import tradeoff
from sparse_attention.plotting.pareto_points import COMPUTATION


class ParetoComputation(Plot):
    """Recall against the computation that is saved, the cost of predicting included."""

    name = "pareto_computation"
    title = "Recall against computation sparsity"
    section = "computation"
    category = "The predictors"
    order = 10
    needs = ("predictors",)
    settings = ("figures.window", "figures.keep")
    explored = ("predictors", "computation_sparsity", "recall", "front")
    caption = """
    Recall against computation sparsity: the share of full attention's multiply-adds that is saved after the cost of
    predicting is subtracted.
    A predictor that compares every query with every key spends much of what it saves. Points to the right of the
    dashed line cost less than full attention, points to the left cost more.
    The bounds are drawn as if predicting cost nothing. Sparsity is what a support could save; computation sparsity
    is what remains after finding it. Neither measures time on a device.
    """

    def draw(self, tables: Mapping[str, pd.DataFrame], setting: Mapping[str, Any]) -> Figure:
        return tradeoff(tables["predictors"], "recall", setting, x_axis=COMPUTATION)
