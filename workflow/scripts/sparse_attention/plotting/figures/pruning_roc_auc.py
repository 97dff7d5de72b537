"""Figure of the pruned classifiers: ROC AUC against cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from sparse_attention.plotting.base import Plot
from sparse_attention.plotting.pruning import draw_quality


class PruningRocAuc(Plot):
    """ROC AUC of every system against its multiply-adds."""

    name = "pruning_roc_auc"
    title = "ROC AUC against cost"
    section = "pruning"
    category = "The pruned classifiers"
    order = 20
    needs = ("pruning",)
    subject = ("code", "classifier")
    explored = ("pruning", "relative_flops", "roc_auc", "none")
    caption = """
    As the figure of F1, with ROC AUC, which does not depend on a threshold of the probability.
    """

    def draw(self, tables: Mapping[str, pd.DataFrame], setting: Mapping[str, Any]) -> Figure:
        return draw_quality(tables["pruning"], "roc_auc", setting)
