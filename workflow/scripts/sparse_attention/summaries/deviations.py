"""Table of what the quirks of the published code change."""

from __future__ import annotations

import pandas as pd

from sparse_attention.summaries.statistics import over_seeds

KEYS = ("quirk", "subject", "metric")
VALUES = ("corrected", "as_published", "difference")
SIZES = ("layers", "examples")
READ = (*KEYS, *VALUES, *SIZES)


def deviations_table(measured: pd.DataFrame) -> pd.DataFrame:
    """Average over seeds, one row per attention, quirk, subject and metric.

    Parameters
    ----------
    measured : pandas.DataFrame
        Rows of `measure_deviations` with `attention` and `seed`.
    """
    return over_seeds(measured, ["attention", *KEYS], VALUES, constant=SIZES)
