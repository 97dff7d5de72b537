"""How well a binary classifier tells defective functions from others."""

from __future__ import annotations

import numpy as np


def classification_metrics(labels: np.ndarray, probabilities: np.ndarray, threshold: float = 0.5) -> dict[str, float]:
    """Return the metrics of probabilities of label 1.

    Parameters
    ----------
    labels : ndarray
        0 or 1, `(functions,)`.
    probabilities : ndarray
        In [0, 1], `(functions,)`; label 1 is predicted from `threshold` on.
    threshold : float
        In (0, 1].

    Returns
    -------
    dict
        accuracy; f1, precision and recall of label 1, each 0 where there is nothing to count; false_alarm_rate, the
        share of label 0 that is predicted as 1; roc_auc, from the probabilities (ties count half) and NaN when there
        is one label only; mcc, Matthews' correlation, 0 when a label or a prediction is always the same.
    """
    from sklearn.metrics import roc_auc_score

    truth, guess = np.asarray(labels) == 1, np.asarray(probabilities) >= threshold
    hits, alarms = float((truth & guess).sum()), float((~truth & guess).sum())
    positive, negative, predicted = float(truth.sum()), float((~truth).sum()), float(guess.sum())
    rest = len(truth) - predicted
    spread = np.sqrt(positive * negative * predicted * rest)
    return {
        "accuracy": float((truth == guess).mean()),
        "f1": _share(2 * hits, positive + predicted),
        "precision": _share(hits, predicted),
        "recall": _share(hits, positive),
        "false_alarm_rate": _share(alarms, negative),
        "roc_auc": float(roc_auc_score(truth, probabilities)) if positive and negative else float("nan"),
        "mcc": _share(hits * (negative - alarms) - alarms * (positive - hits), float(spread)),
    }


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
