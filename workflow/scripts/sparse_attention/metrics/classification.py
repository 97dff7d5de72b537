"""Metrics of a binary classifier of functions, on all functions or on many bootstrap resamples at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sparse_attention.metrics.facts import CLASSIFICATION

THRESHOLD = 0.5
"""Label 1 is predicted when its probability is at least this."""
CELLS = 2**22  # most entries (resamples × functions) that are computed at a time: bounds the memory


def classification_metrics(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    """Compute the metrics of one set of predictions.

    Parameters
    ----------
    labels : ndarray
        0 or 1, ``(functions,)``.
    probabilities : ndarray
        Predicted probabilities of label 1, in [0, 1], ``(functions,)``; label 1 is predicted from `THRESHOLD` on.

    Returns
    -------
    dict
        The value of each metric of `facts.CLASSIFICATION` by name. roc_auc is NaN when all labels are the same; any
        other metric is 0 where its denominator is 0.
    """
    from sklearn.metrics import roc_auc_score

    labels, probabilities = np.asarray(labels), np.asarray(probabilities)
    once = np.ones((1, len(labels)), dtype=np.int64)
    names = tuple(CLASSIFICATION)
    values = dict(zip(names, resampled_metrics(labels, probabilities, once, names)[0].tolist(), strict=True))
    # scikit-learn's last digit differs from ours; the tables hold scikit-learn's value
    if not np.isnan(values["roc_auc"]):
        values["roc_auc"] = float(roc_auc_score(labels == 1, probabilities))
    return values


def resampled_metrics(
    labels: np.ndarray, probabilities: np.ndarray, times: np.ndarray, metrics: Sequence[str]
) -> np.ndarray:
    """Compute the metrics of `classification_metrics` on many resamples at once.

    Parameters
    ----------
    labels : ndarray
        0 or 1, ``(functions,)``.
    probabilities : ndarray
        Predicted probabilities of label 1, in [0, 1], ``(functions,)``; label 1 is predicted from `THRESHOLD` on.
    times : ndarray
        int64 ``(resamples, functions)``: how often each resample drew each function.
    metrics : sequence of str
        Names of the metrics to compute, from `facts.CLASSIFICATION`.

    Returns
    -------
    ndarray
        float64 ``(resamples, metrics)``; roc_auc is NaN where all labels of a resample are the same.
    """
    rows = max(1, CELLS // max(1, len(labels)))
    pieces = [times[first : first + rows] for first in range(0, len(times), rows)]
    return np.concatenate([_metrics(labels, probabilities, piece, metrics) for piece in pieces])


def _metrics(labels: np.ndarray, probabilities: np.ndarray, times: np.ndarray, metrics: Sequence[str]) -> np.ndarray:
    truth, predicted_one = labels == 1, probabilities >= THRESHOLD
    hits = (times @ (truth & predicted_one)).astype(float)
    false_alarms = (times @ (~truth & predicted_one)).astype(float)
    positive, negative = (times @ truth).astype(float), (times @ ~truth).astype(float)
    predicted, total = hits + false_alarms, positive + negative
    spread = np.sqrt(positive * negative * predicted * (total - predicted))
    values = {
        "accuracy": (hits + negative - false_alarms) / total,
        "f1": _share(2 * hits, positive + predicted),
        "precision": _share(hits, predicted),
        "recall": _share(hits, positive),
        "false_alarm_rate": _share(false_alarms, negative),
        "mcc": _share(hits * (negative - false_alarms) - false_alarms * (positive - hits), spread),
        "roc_auc": _roc_auc(truth, probabilities, times),
    }
    return np.stack([values[name] for name in metrics], axis=1)


def _roc_auc(truth: np.ndarray, probabilities: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Return the share of (positive, negative) pairs in the right order, ties counting half, ``(resamples,)``."""
    order = np.argsort(probabilities, kind="stable")
    _, starts = np.unique(probabilities[order], return_index=True)
    drawn, sorted_truth = times[:, order], truth[order]
    positive = np.add.reduceat(drawn * sorted_truth, starts, axis=1).astype(float)
    negative = np.add.reduceat(drawn * ~sorted_truth, starts, axis=1).astype(float)
    below = np.cumsum(negative, axis=1) - negative
    pairs = positive.sum(1) * negative.sum(1)
    right = (positive * (below + negative / 2)).sum(1)
    return np.divide(right, pairs, out=np.full(len(pairs), np.nan), where=pairs > 0)


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Return part / whole, and 0 where the whole is 0."""
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
