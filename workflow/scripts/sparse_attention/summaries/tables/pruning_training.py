"""Training curves of the pruned classifiers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from sparse_attention.summaries.base import Inputs, Table
from sparse_attention.summaries.statistics import over_seeds

MEASURED = ("loss", "accuracy", "f1", "roc_auc", "kept", "temperature")


class PruningTraining(Table):
    """Means over seeds, one row per pruning, stage, phase and step."""

    name = "pruning_training"
    title = "Training curves"
    section = "pruning"
    category = "The pruned classifiers"
    order = 60
    needs = ("pruning_training",)
    large = True
    caption = """
    Losses, quality and kept share of the classifiers while they are trained, by stage; validation is measured with
    hard masks.
    """

    def make(self, inputs: Inputs, setting: Mapping[str, Any]) -> pd.DataFrame:
        return pruning_training_table(inputs.rows("pruning_training", ["step", "phase", *MEASURED]))


def pruning_training_table(training: pd.DataFrame) -> pd.DataFrame:
    """Average training curves over seeds, one row per pruning, stage, phase and step."""
    table = over_seeds(training, ["pruning", "stage", "phase", "step"], MEASURED)
    return table.drop(columns=["temperature_ci95"])
