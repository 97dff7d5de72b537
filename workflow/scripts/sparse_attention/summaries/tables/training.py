"""Training curves of the language models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from sparse_attention.summaries.base import Inputs, Table
from sparse_attention.summaries.statistics import over_seeds

MEASURED = ("loss", "learning_rate", "alpha")


class Training(Table):
    """Means over seeds, one row per attention, phase and step."""

    name = "training"
    title = "Training curves"
    section = "models"
    category = "The language models"
    order = 20
    needs = ("model_training",)
    large = True
    caption = """
    Training and validation losses by step, with the learning rate and the alpha of entmax.
    """

    def make(self, inputs: Inputs, setting: Mapping[str, Any]) -> pd.DataFrame:
        training = inputs.rows("model_training", ["step", "phase", *MEASURED])
        table = over_seeds(training, ["attention", "phase", "step"], MEASURED)
        return table.drop(columns=["learning_rate_ci95", "alpha_ci95"])
