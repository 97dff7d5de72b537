"""Pruned classifiers: F1 against cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from sparse_attention.plotting.base import Plot
from sparse_attention.plotting.pruning import quality


class PruningF1(Plot):
    """F1 of every system against what it costs."""

    name = "pruning_f1"
    title = "F1 against cost"
    section = "pruning"
    category = "The pruned classifiers"
    order = 10
    needs = ("pruning",)
    subject = ("code", "classifier")
    caption = """
    F1 of defects on test against the multiply-adds of the layers, relative to the dense library model without
    padding; tokens are removed. Bars are bootstrap intervals (95 %) over functions, and over seeds when there are
    several; those of a pruning's systems with the same cost stand side by side, around it. The marker tells the
    pruning. The dense model lies below 100 % since our last layer computes CLS alone, for which it folds the
    projections.
    """

    def draw(self, tables: Mapping[str, pd.DataFrame], setting: Mapping[str, Any]) -> Figure:
        return quality(tables["pruning"], "f1", setting)
