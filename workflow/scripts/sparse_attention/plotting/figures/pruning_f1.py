"""Figure of the pruned classifiers: F1 against cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from sparse_attention.plotting.base import Plot
from sparse_attention.plotting.pruning import draw_quality


class PruningF1(Plot):
    """F1 of every system against its multiply-adds."""

    name = "pruning_f1"
    title = "F1 against cost"
    section = "pruning"
    category = "The pruned classifiers"
    order = 10
    needs = ("pruning",)
    subject = ("code", "classifier")
    explored = ("pruning", "relative_flops", "f1", "none")
    caption = """
    F1 of the class "defect" on the test split against the multiply-adds of the layers, relative to the library's dense
    model without padding; pruned tokens are removed. Bars are 95 % bootstrap intervals over functions, and over seeds
    when there are several. Systems of a pruning with equal cost are drawn side by side around that cost. The shape of
    the marker shows the pruning. The dense model is below 100 % because our last layer computes only the CLS token
    and merges its projections for that.
    """

    def draw(self, tables: Mapping[str, pd.DataFrame], setting: Mapping[str, Any]) -> Figure:
        return draw_quality(tables["pruning"], "f1", setting)
