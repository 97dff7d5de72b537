"""Pareto fronts of a metric against sparsity, and the values between their points."""

from __future__ import annotations

import numpy as np
import pandas as pd

from sparse_attention.metrics.facts import compared_metrics
from sparse_attention.summaries.fronts import hulls

METRICS = tuple(compared_metrics())
SERIES = ("attention", "keep", "predictor", "label", "family", "bound", "projection")
COLUMNS = ("metric", "front", "windows", *SERIES, "point", "window", "sparsity", "value")
ALL = "all"
"""Value of the column `windows` for the points of all windows together."""


def front(sparsity: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Return which points are on the Pareto front: no other point is at least as high in both and higher in one.

    Of equal points all are on the front. A point with a missing coordinate never is.

    Parameters
    ----------
    sparsity, value : numpy.ndarray
        Coordinates of the points, ``(points,)``; both are better when higher.

    Returns
    -------
    numpy.ndarray
        bool ``(points,)``.
    """
    sparsity, value = np.asarray(sparsity, dtype=float), np.asarray(value, dtype=float)
    on_front = np.zeros(len(value), dtype=bool)
    known = np.flatnonzero(~np.isnan(sparsity) & ~np.isnan(value))
    best = -np.inf
    for index in known[np.lexsort((-value[known], -sparsity[known]))]:
        equal = on_front & (sparsity == sparsity[index]) & (value == value[index])
        if value[index] > best or equal.any():
            on_front[index] = True
            best = value[index]
    return on_front


def attainable(sparsity: np.ndarray, value: np.ndarray, at: float) -> float:
    """Return the highest attainable value at a sparsity, or NaN outside the range of the points.

    See `Hulls.attainable`.

    Parameters
    ----------
    sparsity, value : numpy.ndarray
        Coordinates of the points, ``(points,)``.
    at : float
        The sparsity.
    """
    x, y = (np.asarray(values, dtype=float)[None] for values in (sparsity, value))
    return float(hulls(x, y).attainable(np.array([at]))[0, 0]) if x.size else float("nan")


def _competitions(points: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Return the sets of points that compete on one front: those of each window, then those of all windows."""
    windows = [(str(window), rows) for window, rows in points.groupby("window", sort=True)]
    return [*windows, (ALL, points)] if len(windows) > 1 else windows


def _on_front(rows: pd.DataFrame, metric: str, name: str, windows: str) -> pd.DataFrame:
    chosen = rows[front(rows["sparsity"].to_numpy(), rows[metric].to_numpy())]
    chosen = chosen.sort_values(["sparsity", metric], ascending=[True, False], kind="stable")
    return chosen.assign(metric=metric, front=name, windows=windows, value=chosen[metric])[list(COLUMNS)]


def pareto_table(points: pd.DataFrame) -> pd.DataFrame:
    """Return the points on the front of each predictor, and of all predictors without bounds, for each metric.

    Parameters
    ----------
    points : pandas.DataFrame
        The table of predictors: one row per point, window and keep.

    Returns
    -------
    pandas.DataFrame
        Columns `COLUMNS`; `windows` is the window of the front's points, or `all`.
    """
    found = []
    for metric in METRICS:
        for _, setting in points.groupby(["attention", "keep"], sort=False):
            for windows, rows in _competitions(setting):
                for _, series in rows.groupby(["predictor", "projection"], sort=False):
                    found.append(_on_front(series, metric, "predictor", windows))
                found.append(_on_front(rows[rows["bound"].isna()], metric, "overall", windows))
    found = [frame for frame in found if len(frame)]
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=list(COLUMNS))
