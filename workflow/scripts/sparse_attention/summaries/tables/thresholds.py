"""The thresholds of the pruned classifiers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from sparse_attention.summaries.base import Inputs, Table
from sparse_attention.summaries.statistics import over_seeds

MEASURED = ("before", "after", "kept")


class Thresholds(Table):
    """Means over seeds, one row per pruning and layer; no rows where no pruning has thresholds."""

    name = "thresholds"
    title = "Thresholds of each layer"
    section = "pruning"
    category = "The pruned classifiers"
    order = 40
    needs = ("thresholds",)
    left_out = ("seeds", "moved")
    latex = True
    caption = """
    The thresholds of each layer before and after they were learned, and the share of tokens that each layer then
    leaves on validation.
    """

    def make(self, inputs: Inputs, setting: Mapping[str, Any]) -> pd.DataFrame:
        return thresholds_table(inputs.rows("thresholds", ["layer", *MEASURED]))


def thresholds_table(thresholds: pd.DataFrame) -> pd.DataFrame:
    """Average thresholds over seeds, one row per pruning and layer; no rows where no pruning has thresholds."""
    if thresholds.empty:
        thresholds = pd.DataFrame(columns=["pruning", "seed", "layer", *MEASURED], dtype=float)
    moved = thresholds.assign(moved=thresholds["after"] - thresholds["before"])
    return over_seeds(moved, ["pruning", "layer"], ["before", "after", "moved", "kept"])
