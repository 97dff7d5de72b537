"""Effects of the quirks of the published code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from sparse_attention.summaries.base import Inputs, Table
from sparse_attention.summaries.statistics import over_seeds

KEYS = ("quirk", "subject", "metric")
VALUES = ("corrected", "as_published", "difference")
SIZES = ("layers", "examples")
READ = (*KEYS, *VALUES, *SIZES)


class Deviations(Table):
    """Means over seeds, one row per attention, quirk, subject and metric."""

    name = "deviations"
    title = "What each property changes"
    section = "deviations"
    category = "The published code"
    order = 10
    needs = ("deviations",)
    left_out = ("seeds",)
    latex = True
    caption = """
    What each quirk of the published code changes: the same examples and points, corrected and as published.
    Quirks are explained in docs/deviations.md; ``another_seed`` is not a quirk, it shows how much chance alone
    changes.
    """

    def make(self, inputs: Inputs, setting: Mapping[str, Any]) -> pd.DataFrame:
        return deviations_table(inputs.rows("deviations", READ))


def deviations_table(measured: pd.DataFrame) -> pd.DataFrame:
    """Average over seeds, one row per attention, quirk, subject and metric.

    Parameters
    ----------
    measured : pandas.DataFrame
        Rows of `measure_deviations` with `attention` and `seed`.
    """
    return over_seeds(measured, ["attention", *KEYS], VALUES, constant=SIZES)
