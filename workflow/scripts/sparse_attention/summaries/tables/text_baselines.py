"""The code: what simple classifiers make of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from sparse_attention.summaries.base import Inputs, Table


class TextBaselines(Table):
    """What the classifiers without a neural network reach, with the name of the corpus."""

    name = "text_baselines"
    title = "Classifiers without a neural network"
    section = "baselines"
    category = "The code"
    order = 10
    needs = ("text_baselines",)
    latex = True
    caption = """
    What classifiers without a neural network reach: the more frequent label, and logistic regression over TF-IDF of
    tokens and pairs of tokens.
    The strength of its regularisation is chosen by the loss on validation; test is only measured.
    """

    def make(self, inputs: Inputs, setting: Mapping[str, Any]) -> pd.DataFrame:
        return inputs.rows("text_baselines")
