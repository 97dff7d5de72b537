"""Bootstrap intervals over documents and seeds.

Documents are drawn with replacement and so are seeds, each on their own, as in Owen's pigeonhole bootstrap (Annals of
Applied Statistics 1, 2007): every seed evaluates the same documents, so one draw of documents holds for all of them;
documents drawn anew for each seed would make intervals too narrow. All predictors see the same draws.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np

from sparse_attention.summaries.statistics import half_width

LEAST_KNOWN = 0.95
"""Share of the resamples that must have a value; an interval of fewer would tell of another quantity."""


@functools.cache
def draws(things: int, replicates: int, stream: int) -> np.ndarray:
    """Return how often each of `things` is drawn, int64 `(replicates, things)`; equal arguments give equal draws."""
    rng = np.random.default_rng((stream, things))
    return rng.multinomial(things, np.full(things, 1 / things), size=replicates)


def resampled_means(values: np.ndarray, examples: np.ndarray, replicates: int) -> np.ndarray:
    """Average documents, as they are and in every resample.

    Parameters
    ----------
    values : numpy.ndarray
        One seed's, float64 `(documents, …)`.
    examples : numpy.ndarray
        What each document counts for.
    replicates : int
        Number of resamples.

    Returns
    -------
    numpy.ndarray
        float64 `(1 + replicates, …)`; the first is the mean of the documents as they are.
    """
    documents = len(values)
    times = np.concatenate([np.ones((1, documents), dtype=np.int64), draws(documents, replicates, stream=0)])
    weights = times * np.asarray(examples, dtype=float)
    weights /= weights.sum(axis=1, keepdims=True)
    return (weights @ values.reshape(documents, -1)).reshape(-1, *values.shape[1:])


class Estimate(NamedTuple):
    """Means over seeds with half their Student interval over seeds and the bootstrap interval, arrays of one shape."""

    mean: np.ndarray
    ci95: np.ndarray
    low: np.ndarray
    high: np.ndarray


def estimate(values: np.ndarray, documents: int) -> Estimate:
    """Average over seeds, and find the 2.5 and 97.5 % quantiles of the resampled means.

    Parameters
    ----------
    values : numpy.ndarray
        float64 `(1 + replicates, seeds, …)`: of all documents, then of every resample.
    documents : int
        Number of documents: with one, and one seed, there is nothing to resample.

    Returns
    -------
    Estimate
        NaN where a seed has no value; no bootstrap interval where more than 1 in 20 resamples have none.
    """
    seeds = values.shape[1]
    mean = values[0].mean(axis=0)
    deviation = values[0].std(axis=0, ddof=1) if seeds > 1 else np.full(mean.shape, np.nan)
    ci95 = half_width(deviation, np.full(mean.shape, seeds))
    times = draws(seeds, len(values) - 1, stream=1).reshape(-1, seeds, *[1] * mean.ndim)
    resampled = (np.where(times > 0, values[1:], 0) * times).sum(axis=1) / seeds
    low, high = _quantiles(resampled.reshape(len(times), mean.size)).reshape(2, *mean.shape)
    nothing = np.isnan(mean) | (seeds * documents == 1)
    return Estimate(mean, ci95, np.where(nothing, np.nan, low), np.where(nothing, np.nan, high))


def _quantiles(resampled: np.ndarray) -> np.ndarray:
    """Return the quantiles of each column, float64 `(2, columns)`."""
    found = np.full((2, resampled.shape[1]), np.nan)
    known = (~np.isnan(resampled)).mean(axis=0) if len(resampled) else np.zeros(resampled.shape[1])
    enough = known >= LEAST_KNOWN
    if enough.any():
        found[:, enough] = np.nanquantile(resampled[:, enough], [0.025, 0.975], axis=0)
    return found
