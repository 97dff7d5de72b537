"""Means over seeds with their 95 % intervals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd


def half_width(deviation: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Return half the width of the two-sided 95 % Student-t interval of a mean; NaN for fewer than two values.

    Parameters
    ----------
    deviation : numpy.ndarray
        Sample standard deviations (divisor n - 1), of any shape.
    count : numpy.ndarray
        Numbers of values n, of the same shape.
    """
    # imported here because published tables are drawn and written as LaTeX without SciPy
    from scipy.special import stdtrit

    several = np.where(count > 1, count, np.nan)
    return stdtrit(several - 1, 0.975) * deviation / np.sqrt(several)


def over_seeds(
    frame: pd.DataFrame, keys: Sequence[str], values: Sequence[str], constant: Sequence[str] = ()
) -> pd.DataFrame:
    """Average columns over seeds; groups keep the order in which they first appear.

    Parameters
    ----------
    frame : pandas.DataFrame
        One row per combination of `keys` and `seed`.
    keys, values : sequence of str
        Columns to group by, and columns to average. Missing values are left out of their mean.
    constant : sequence of str
        Columns that do not differ between seeds, whose first value is kept.

    Returns
    -------
    pandas.DataFrame
        Columns `keys`, `seeds` (number of seeds), `constant`, then each of `values` followed by `<value>_ci95`.
    """
    groups = frame.groupby(list(keys), sort=False, dropna=False)
    means, deviations, counts = groups[list(values)].mean(), groups[list(values)].std(), groups[list(values)].count()
    columns = {"seeds": groups["seed"].nunique(), **{name: groups[name].first() for name in constant}}
    for value in values:
        columns[value] = means[value]
        width = half_width(deviations[value].to_numpy(), counts[value].to_numpy())
        columns[f"{value}_ci95"] = pd.Series(width, index=means.index)
    return pd.DataFrame(columns).reset_index()


def stack(frames: Sequence[pd.DataFrame], columns: Sequence[str]) -> pd.DataFrame:
    """Concatenate `frames`; without any, return an empty table with `columns`."""
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=list(columns))
