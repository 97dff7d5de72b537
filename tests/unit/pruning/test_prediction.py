"""Predictions: in the order of the functions, whatever the batches, and the same with tokens hidden or removed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sparse_attention.pruning.model import PrunedClassifier
from sparse_attention.pruning.prediction import Predicted, predict
from sparse_attention.pruning.thresholds import PruningSettings
from toy_code import toy_functions

FAMILY = pytest.mark.parametrize("family", ["longformer", "roberta", "bert"])
SETTINGS = {
    "threshold": PruningSettings(final=0.12),
    "relative": PruningSettings(score="relative", final=0.4),
    "topk": PruningSettings("topk", final=0.3),
    "random": PruningSettings("random", final=0.3),
}
ASKED = [7, 0, 12, 3, 9, 4]


@pytest.fixture(scope="module")
def tokens():
    return toy_functions(train=8, validation=4, test=4)


@pytest.fixture
def make_model(make_classifier):
    """Return a function that makes a model of a family and of settings."""
    return lambda family, name="threshold": PrunedClassifier(make_classifier(family), SETTINGS[name]).eval()


@pytest.mark.parametrize(
    ("mode", "drop"),
    [("dense", False), ("soft", False), ("hard", False), ("dense", True), ("hard", True)],
    ids=["dense", "soft", "hard", "dense dropped", "hard dropped"],
)
def test_results_are_in_the_order_of_the_functions(mode, drop, tokens, make_model):
    model = make_model("longformer")
    whole = predict(model, tokens, ASKED, mode, 6, drop)
    assert whole.functions.tolist() == ASKED
    assert whole.labels.tolist() == tokens.labels[ASKED].tolist()
    assert whole.lengths.tolist() == tokens.lengths[ASKED].tolist()
    for batch_size in (1, 4):
        parts = predict(model, tokens, ASKED, mode, batch_size, drop)
        np.testing.assert_allclose(parts.probabilities, whole.probabilities, rtol=0, atol=1e-5)
        np.testing.assert_allclose(parts.kept, whole.kept, rtol=0, atol=1e-4)
    for place, function in enumerate(ASKED):
        alone = predict(model, tokens, [function], mode, 1, drop)
        np.testing.assert_allclose(alone.probabilities[0], whole.probabilities[place], rtol=0, atol=1e-5)
    assert len(set(whole.probabilities.round(4))) == len(ASKED), "functions must differ for their order to matter"


def test_probabilities_and_kept_tokens_equal_the_models(tokens, make_model):
    model = make_model("roberta")
    found = predict(model, tokens, ASKED, "soft", 2)
    for place, function in enumerate(ASKED):
        ids = tokens.ids[tokens.slice_of(function)][None].long()
        with torch.no_grad():
            expected = model(ids, torch.ones_like(ids), "soft")
        assert found.probabilities[place] == pytest.approx(float(expected.logits.softmax(-1)[0, 1]), abs=1e-5)
        assert found.kept[place].tolist() == pytest.approx(expected.keep[:, 0].sum(1).tolist(), abs=1e-4)
    assert found.kept.shape == (6, 3) and found.probabilities.dtype == found.kept.dtype == np.float64


@FAMILY
@pytest.mark.parametrize("name", SETTINGS)
def test_removing_tokens_predicts_what_hiding_them_does(family, name, tokens, make_model):
    model, functions = make_model(family, name), list(range(16))
    for mode in ("dense", "hard"):
        hidden, removed = (predict(model, tokens, functions, mode, 5, drop) for drop in (False, True))
        np.testing.assert_allclose(removed.probabilities, hidden.probabilities, rtol=0, atol=1e-5)
        np.testing.assert_allclose(removed.kept, hidden.kept, rtol=0, atol=1e-5)
        assert (hidden.kept[:, -1] < hidden.lengths).any() == (mode == "hard"), "a test of pruning must prune"


def test_soft_weights_cannot_be_dropped(tokens, make_model):
    with pytest.raises(ValueError, match="soft weights cannot be dropped"):
        predict(make_model("bert"), tokens, [0], "soft", 1, drop=True)


@pytest.mark.parametrize("training", [True, False])
def test_training_mode_is_restored_and_dropout_is_off(training, tokens, make_model):
    model = make_model("bert")
    expected = predict(model, tokens, ASKED, "hard", 3)
    model.train(training)
    for drop in (False, True):
        found = predict(model, tokens, ASKED, "hard", 3, drop)
        np.testing.assert_allclose(found.probabilities, expected.probabilities, rtol=0, atol=1e-5)
        assert all(module.training == training for module in model.modules())


def test_loss_and_share_are_means_over_functions():
    kept = np.array([[4.0, 2.0], [5.0, 5.0]])
    found = Predicted(np.arange(2), np.array([1, 0]), np.array([0.25, 0.5]), np.array([8, 10]), kept)
    assert found.kept_share == pytest.approx((4 / 8 + 2 / 8 + 5 / 10 + 5 / 10) / 4)
    assert found.loss() == pytest.approx((np.log(4) + np.log(2)) / 2)
    assert np.isfinite(found._replace(probabilities=np.array([0.0, 1.0])).loss())
