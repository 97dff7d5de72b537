"""Fitting curves of the projections."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from sparse_attention.summaries.base import Inputs, Table
from sparse_attention.summaries.statistics import over_seeds

MEASURED = ("loss", "recall", "sparsity")


class Projections(Table):
    """Means over seeds, one row per attention, projection, layer, step and split."""

    name = "projections"
    title = "Fitting the projections"
    section = "projections"
    category = "The projections"
    order = 10
    needs = ("curves",)
    large = True
    caption = """
    Fitting curves of the projections: loss, recall and sparsity by layer and step, on train and validation.
    """

    def make(self, inputs: Inputs, setting: Mapping[str, Any]) -> pd.DataFrame:
        curves = inputs.rows("curves", ["layer", "step", "split", *MEASURED])
        return over_seeds(curves, ["attention", "projection", "layer", "step", "split"], MEASURED)
