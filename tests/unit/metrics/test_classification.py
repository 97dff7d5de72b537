"""Classification metrics against their definitions by counting, and against scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn import metrics

from sparse_attention.metrics.classification import classification_metrics
from sparse_attention.metrics.facts import CLASSIFICATION


def by_counting(labels, probabilities):
    cells = {(t, g): 0 for t in (0, 1) for g in (0, 1)}
    for label, probability in zip(labels, probabilities, strict=True):
        cells[int(label), int(probability >= 0.5)] += 1
    wins = [
        1.0 if p > q else 0.5 if p == q else 0.0
        for p, label in zip(probabilities, labels, strict=True) if label
        for q, other in zip(probabilities, labels, strict=True) if not other
    ]  # fmt: skip
    hits, alarms, missed, right = cells[1, 1], cells[0, 1], cells[1, 0], cells[0, 0]
    spread = math.sqrt((hits + alarms) * (hits + missed) * (right + alarms) * (right + missed))
    share = lambda part, whole: part / whole if whole else 0.0  # noqa: E731
    return {
        "accuracy": (hits + right) / len(labels),
        "precision": share(hits, hits + alarms),
        "recall": share(hits, hits + missed),
        "f1": share(2 * hits, 2 * hits + alarms + missed),
        "false_alarm_rate": share(alarms, alarms + right),
        "roc_auc": sum(wins) / len(wins) if wins else math.nan,
        "mcc": share(hits * right - alarms * missed, spread),
    }


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("levels", [4, 1000], ids=["tied", "distinct"])
def test_metrics_are_what_counting_gives(seed, levels):
    rng = np.random.default_rng(seed)
    labels, probabilities = rng.integers(0, 2, 60), rng.integers(0, levels, 60) / levels
    found = classification_metrics(labels, probabilities)
    assert list(found) == list(CLASSIFICATION)
    assert found == pytest.approx(by_counting(labels, probabilities))
    guess = probabilities >= 0.5
    assert found["mcc"] == pytest.approx(metrics.matthews_corrcoef(labels, guess))
    assert found["f1"] == pytest.approx(metrics.f1_score(labels, guess))
    assert found["roc_auc"] == pytest.approx(metrics.roc_auc_score(labels, probabilities))


@pytest.mark.parametrize("constant", [0.0, 1.0])
@pytest.mark.parametrize("labels", [[0, 1, 1], [1, 1, 1], [0, 0, 0]], ids=str)
def test_one_label_or_one_prediction(labels, constant):
    found = classification_metrics(np.array(labels), np.full(3, constant))
    assert found == pytest.approx(by_counting(labels, [constant] * 3), nan_ok=True)
    assert found["mcc"] == 0 and np.isnan(found["roc_auc"]) == (len(set(labels)) == 1)
