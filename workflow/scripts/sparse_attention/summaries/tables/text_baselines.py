"""Quality of classifiers without a neural network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from sparse_attention.summaries.base import Inputs, Table


class TextBaselines(Table):
    """Metrics of the classifiers, one row per classifier and split."""

    name = "text_baselines"
    title = "Classifiers without a neural network"
    section = "baselines"
    category = "The code"
    order = 10
    needs = ("text_baselines",)
    latex = True
    caption = """
    Quality of classifiers without a neural network: the more frequent label, and logistic regression over TF-IDF of
    tokens and pairs of tokens.
    The strength of its regularisation is chosen by the loss on validation; test is only evaluated.
    """

    def make(self, inputs: Inputs, setting: Mapping[str, Any]) -> pd.DataFrame:
        return inputs.rows("text_baselines")
