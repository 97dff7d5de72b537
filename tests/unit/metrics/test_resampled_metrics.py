"""The metrics of resamples against those of rows that are really repeated."""

from __future__ import annotations

import numpy as np
import pytest

from sparse_attention.metrics import classification as module
from sparse_attention.metrics.classification import classification_metrics, resampled_metrics
from sparse_attention.metrics.facts import CLASSIFICATION
from sparse_attention.summaries.bootstrap import draws

METRICS = tuple(CLASSIFICATION)
RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 2, 30)
SETS = {
    "distinct": (LABELS, RNG.random(30)),
    "informative": (LABELS, 0.3 * LABELS + 0.7 * RNG.random(30)),
    "tied": (LABELS, RNG.integers(0, 5, 30) / 4),
    "one value": (LABELS, np.full(30, 0.5)),
    "all positive": (np.ones(30, dtype=int), RNG.random(30)),
    "all negative": (np.zeros(30, dtype=int), RNG.random(30)),
    "all predicted": (LABELS, 0.5 + RNG.random(30) / 2),
    "none predicted": (LABELS, RNG.random(30) / 2.001),
    "perfect": (LABELS, LABELS * 0.6 + 0.2),
    "reversed": (LABELS, 0.8 - LABELS * 0.6),
    "few positive": ((np.arange(30) < 2).astype(int), RNG.random(30)),
    "one function": (np.array([1]), np.array([0.7])),
}


@pytest.mark.parametrize("name", SETS)
def test_a_resample_is_repeated_rows(name):
    labels, probabilities = SETS[name]
    times = np.concatenate([np.ones((1, len(labels)), dtype=np.int64), draws(len(labels), 25, stream=0)])
    found = resampled_metrics(labels, probabilities, times, METRICS)
    for own, row in zip(times, found, strict=True):
        expected = classification_metrics(np.repeat(labels, own), np.repeat(probabilities, own))
        assert dict(zip(METRICS, row, strict=True)) == pytest.approx(expected, rel=1e-12, abs=1e-12, nan_ok=True)


def test_an_auc_is_blank_exactly_where_one_label_was_drawn():
    labels, probabilities = np.array([1, 0, 0, 1]), np.array([0.9, 0.2, 0.6, 0.6])
    times = np.array([[1, 1, 1, 1], [4, 0, 0, 0], [2, 0, 0, 2], [0, 3, 1, 0], [0, 0, 2, 2]])
    found = resampled_metrics(labels, probabilities, times, ["roc_auc", "accuracy", "recall", "mcc"])
    np.testing.assert_allclose(found[:, 0], [0.875, np.nan, np.nan, np.nan, 0.5])
    np.testing.assert_allclose(found[:, 1], [0.75, 1, 1, 0.75, 0.5])
    np.testing.assert_allclose(found[:, 2], [1, 1, 1, 0, 1])
    np.testing.assert_allclose(found[:, 3], [1 / 3**0.5, 0, 0, 0, 0])


def test_metrics_come_in_the_order_asked_for():
    labels, probabilities = SETS["tied"]
    times = draws(30, 5, stream=0)
    whole = resampled_metrics(labels, probabilities, times, METRICS)
    chosen = resampled_metrics(labels, probabilities, times, ["mcc", "f1"])
    assert np.array_equal(chosen, whole[:, [METRICS.index("mcc"), METRICS.index("f1")]])


def test_pieces_change_nothing(monkeypatch):
    times = draws(30, 25, stream=0)
    whole = resampled_metrics(*SETS["tied"], times, METRICS)
    monkeypatch.setattr(module, "CELLS", 100)
    assert np.array_equal(resampled_metrics(*SETS["tied"], times, METRICS), whole, equal_nan=True)
