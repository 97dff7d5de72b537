"""Sparsity of the gold attention of each head."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from sparse_attention.summaries.base import Inputs, Table
from sparse_attention.summaries.statistics import over_seeds


class GoldSparsity(Table):
    """Means over seeds, one row per attention, layer and head."""

    name = "gold_sparsity"
    title = "Gold sparsity by layer and head"
    section = "gold"
    category = "The gold support"
    order = 10
    needs = ("gold",)
    folded = "Gold sparsity of every head as a table"
    latex = True
    caption = """
    Gold sparsity and mean support size (keys per query) of each layer and head on the validation split, and the
    shares of the gold pairs and of the gold probability whose key is the first or the last token (``ends_share``,
    ``ends_mass``). Heads that look at little else are easy to predict.
    """

    def make(self, inputs: Inputs, setting: Mapping[str, Any]) -> pd.DataFrame:
        keys, values = ["attention", "layer", "head"], ("gold_sparsity", "support_size", "ends_share", "ends_mass")
        gold = inputs.rows("gold", [*keys[1:], *values, "examples"])
        return over_seeds(gold, keys, values, constant=("examples",))
