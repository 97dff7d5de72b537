"""Pruned classifiers: ROC AUC against cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from sparse_attention.plotting.base import Plot
from sparse_attention.plotting.pruning import quality


class PruningRocAuc(Plot):
    """ROC AUC of every system against what it costs."""

    name = "pruning_roc_auc"
    title = "ROC AUC against cost"
    section = "pruning"
    category = "The pruned classifiers"
    order = 20
    needs = ("pruning",)
    subject = ("code", "classifier")
    caption = """
    As before, with ROC AUC, which does not depend on a threshold of the probability.
    """

    def draw(self, tables: Mapping[str, pd.DataFrame], setting: Mapping[str, Any]) -> Figure:
        return quality(tables["pruning"], "roc_auc", setting)
