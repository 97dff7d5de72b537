"""How well a binary classifier tells defective functions from others: on all of them, and on many resamples at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sparse_attention.metrics.facts import CLASSIFICATION

THRESHOLD = 0.5
"""Label 1 is predicted from this probability on."""
CELLS = 2**22  # counts of functions that are worked on at a time


def classification_metrics(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    """Return the metrics of probabilities of label 1.

    Parameters
    ----------
    labels : ndarray
        0 or 1, ``(functions,)``.
    probabilities : ndarray
        In [0, 1], ``(functions,)``; label 1 is predicted from `THRESHOLD` on.

    Returns
    -------
    dict
        accuracy; f1, precision and recall of label 1, each 0 where there is nothing to count; false_alarm_rate, the
        share of label 0 that is predicted as 1; roc_auc, from the probabilities (ties count half) and NaN when there
        is one label only; mcc, Matthews' correlation, 0 when a label or a prediction is always the same.
    """
    from sklearn.metrics import roc_auc_score

    labels, probabilities = np.asarray(labels), np.asarray(probabilities)
    once = np.ones((1, len(labels)), dtype=np.int64)
    names = tuple(CLASSIFICATION)
    values = dict(zip(names, resampled_metrics(labels, probabilities, once, names)[0].tolist(), strict=True))
    # the library's last digit differs from ours, and tables hold the library's
    if not np.isnan(values["roc_auc"]):
        values["roc_auc"] = float(roc_auc_score(labels == 1, probabilities))
    return values


def resampled_metrics(
    labels: np.ndarray, probabilities: np.ndarray, times: np.ndarray, metrics: Sequence[str]
) -> np.ndarray:
    """Return what `classification_metrics` does for many resamples at once, each function counted as often as drawn.

    Parameters
    ----------
    labels : ndarray
        0 or 1, ``(functions,)``.
    probabilities : ndarray
        Of label 1, ``(functions,)``; 1 is predicted from `THRESHOLD` on.
    times : ndarray
        int64 ``(resamples, functions)``.
    metrics : sequence of str
        Which ones, of `facts.CLASSIFICATION`.

    Returns
    -------
    ndarray
        float64 ``(resamples, metrics)``; a ROC AUC is NaN where a resample has one label only.
    """
    rows = max(1, CELLS // max(1, len(labels)))
    pieces = [times[first : first + rows] for first in range(0, len(times), rows)]
    return np.concatenate([_metrics(labels, probabilities, piece, metrics) for piece in pieces])


def _metrics(labels: np.ndarray, probabilities: np.ndarray, times: np.ndarray, metrics: Sequence[str]) -> np.ndarray:
    truth, guess = labels == 1, probabilities >= THRESHOLD
    hits, alarms = (times @ (truth & guess)).astype(float), (times @ (~truth & guess)).astype(float)
    positive, negative = (times @ truth).astype(float), (times @ ~truth).astype(float)
    predicted, total = hits + alarms, positive + negative
    spread = np.sqrt(positive * negative * predicted * (total - predicted))
    values = {
        "accuracy": (hits + negative - alarms) / total,
        "f1": _share(2 * hits, positive + predicted),
        "precision": _share(hits, predicted),
        "recall": _share(hits, positive),
        "false_alarm_rate": _share(alarms, negative),
        "mcc": _share(hits * (negative - alarms) - alarms * (positive - hits), spread),
        "roc_auc": _roc_auc(truth, probabilities, times),
    }
    return np.stack([values[name] for name in metrics], axis=1)


def _roc_auc(truth: np.ndarray, probabilities: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Return the share of pairs of a positive and a negative in the right order, ties half, ``(resamples,)``."""
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
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
