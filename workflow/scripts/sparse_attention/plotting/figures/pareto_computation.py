"""Recall against computation sparsity."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from sparse_attention.plotting.base import Plot
from sparse_attention.plotting.pareto import tradeoff
from sparse_attention.plotting.pareto_points import COMPUTATION


class ParetoComputation(Plot):
    """Recall against what is saved when predicting is paid for."""

    name = "pareto_computation"
    title = "Recall against computation sparsity"
    section = "computation"
    category = "The predictors"
    order = 10
    needs = ("predictors",)
    settings = ("figures.window", "figures.keep")
    caption = """
    Recall against computation sparsity: the share of full attention's scores that need not be computed when
    predicting is paid for as well, in multiply-adds.
    A predictor that compares every query with every key has spent much of what it saves; right of the dashed line
    it is cheaper than full attention, left of it dearer.
    Here the bounds are drawn as if they cost nothing. Sparsity is what a support could save, computation sparsity
    what this way of finding it leaves of that; time on a device is another matter.
    """

    def draw(self, tables: Mapping[str, pd.DataFrame], setting: Mapping[str, Any]) -> Figure:
        return tradeoff(tables["predictors"], "recall", setting, across=COMPUTATION)
