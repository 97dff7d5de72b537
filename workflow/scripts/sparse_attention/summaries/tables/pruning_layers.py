"""Share of a function's tokens that each layer leaves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from sparse_attention.summaries.base import Inputs, Table
from sparse_attention.summaries.pruning import SYSTEM, whole_lengths
from sparse_attention.summaries.statistics import over_seeds


class PruningLayers(Table):
    """Means over functions, then over seeds, one row per pruning, system, way and layer."""

    name = "pruning_layers"
    title = "Tokens left by each layer"
    section = "pruning"
    category = "The pruned classifiers"
    order = 30
    needs = ("predictions", "kept")
    large = True
    latex = True
    caption = """
    The share of a function's tokens that each layer leaves.
    """

    def make(self, inputs: Inputs, setting: Mapping[str, Any]) -> pd.DataFrame:
        predictions = inputs.rows("predictions", ["system", "way", "function", "tokens"])
        return layers_table(inputs.rows("kept", ["system", "way", "function", "layer", "kept"]), predictions)


def layers_table(kept: pd.DataFrame, predictions: pd.DataFrame) -> pd.DataFrame:
    """Return the share of a function's tokens that each layer leaves, averaged over functions, then over seeds.

    Tokens that the system `text` removes before the first layer count as pruned.
    """
    frame = kept.assign(kept_share=kept["kept"] / kept["function"].map(whole_lengths(predictions)))
    means = frame.groupby([*SYSTEM, "seed", "layer"], sort=False)["kept_share"].mean().reset_index()
    return over_seeds(means, [*SYSTEM, "layer"], ["kept_share"])
