"""Bootstrap intervals over documents and seeds.

Documents and seeds are drawn with replacement, independently of each other, as in Owen's pigeonhole bootstrap (Annals
of Applied Statistics 1, 2007). Every seed evaluates the same documents, so a resample has the same documents for all
seeds; separate draws for each seed would make intervals too narrow. All predictors are evaluated on the same resamples.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np

from sparse_attention.summaries.statistics import half_width

MIN_KNOWN_SHARE = 0.95
"""Share of the resamples that must have a value; an interval over fewer would be one of another quantity."""


@functools.cache
def draws(units: int, replicates: int, stream: int) -> np.ndarray:
    """Return how often each unit is drawn in each resample; equal arguments give equal draws.

    Parameters
    ----------
    units : int
        Number of units (documents, functions or seeds), of which as many are drawn with replacement.
    replicates : int
        Number of resamples.
    stream : int
        Another stream gives independent draws.

    Returns
    -------
    numpy.ndarray
        int64 ``(replicates, units)``.
    """
    rng = np.random.default_rng((stream, units))
    return rng.multinomial(units, np.full(units, 1 / units), size=replicates)


def resampled_means(values: np.ndarray, examples: np.ndarray, replicates: int) -> np.ndarray:
    """Average over documents: over all of them, and over those of every resample.

    Parameters
    ----------
    values : numpy.ndarray
        Values of one seed, float64 ``(documents, …)``.
    examples : numpy.ndarray
        Weights of the documents, their numbers of examples, ``(documents,)``.
    replicates : int
        Number of resamples.

    Returns
    -------
    numpy.ndarray
        float64 ``(1 + replicates, …)``; the first is the mean over all documents.
    """
    documents = len(values)
    times = np.concatenate([np.ones((1, documents), dtype=np.int64), draws(documents, replicates, stream=0)])
    weights = times * np.asarray(examples, dtype=float)
    weights /= weights.sum(axis=1, keepdims=True)
    return (weights @ values.reshape(documents, -1)).reshape(-1, *values.shape[1:])


class Estimate(NamedTuple):
    """Means over seeds with their 95 % intervals, arrays of one shape.

    Attributes
    ----------
    mean : numpy.ndarray
        Means over seeds.
    ci95 : numpy.ndarray
        Half the width of the Student-t interval over seeds.
    low, high : numpy.ndarray
        Ends of the bootstrap interval over documents and seeds.
    """

    mean: np.ndarray
    ci95: np.ndarray
    low: np.ndarray
    high: np.ndarray


def estimate(values: np.ndarray, documents: int) -> Estimate:
    """Average over seeds, and compute the 2.5 and 97.5 % quantiles of the resampled means.

    Parameters
    ----------
    values : numpy.ndarray
        float64 ``(1 + replicates, seeds, …)``: of all documents, then of every resample.
    documents : int
        Number of documents; with one document and one seed there is no bootstrap interval.

    Returns
    -------
    Estimate
        NaN where a seed has no value; no bootstrap interval where more than 5 % of the resamples have no value.
    """
    seeds = values.shape[1]
    mean = values[0].mean(axis=0)
    deviation = values[0].std(axis=0, ddof=1) if seeds > 1 else np.full(mean.shape, np.nan)
    ci95 = half_width(deviation, np.full(mean.shape, seeds))
    times = draws(seeds, len(values) - 1, stream=1).reshape(-1, seeds, *[1] * mean.ndim)
    resampled = (np.where(times > 0, values[1:], 0) * times).sum(axis=1) / seeds
    low, high = _quantiles(resampled.reshape(len(times), mean.size)).reshape(2, *mean.shape)
    no_interval = np.isnan(mean) | (seeds * documents == 1)
    return Estimate(mean, ci95, np.where(no_interval, np.nan, low), np.where(no_interval, np.nan, high))


def _quantiles(resampled: np.ndarray) -> np.ndarray:
    """Return the 2.5 and 97.5 % quantiles of each column, float64 ``(2, columns)``."""
    found = np.full((2, resampled.shape[1]), np.nan)
    known = (~np.isnan(resampled)).mean(axis=0) if len(resampled) else np.zeros(resampled.shape[1])
    enough = known >= MIN_KNOWN_SHARE
    if enough.any():
        found[:, enough] = np.nanquantile(resampled[:, enough], [0.025, 0.975], axis=0)
    return found
