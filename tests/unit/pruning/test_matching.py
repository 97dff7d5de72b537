"""Baselines: the requested share of tokens in each layer, and the text without tokens that get little attention."""

from __future__ import annotations

import math

import pytest
import torch

from sparse_attention.pruning.matching import equal_ramp, equal_shares, shortened, token_weights
from sparse_attention.pruning.model import PrunedClassifier
from sparse_attention.pruning.prediction import predict
from sparse_attention.pruning.thresholds import PruningSettings, ramp
from toy_code import CLS, SEP, VOCABULARY, code_tokens, toy_functions


@pytest.fixture(scope="module")
def tokens():
    return toy_functions(train=10, validation=10, test=4, longest=20)


@pytest.fixture
def model(make_classifier) -> PrunedClassifier:
    """A model whose thresholds were learned."""
    model = PrunedClassifier(make_classifier("longformer"), PruningSettings(final=0.1)).eval()
    model.thresholds.offset.data += torch.tensor([0.01, -0.02, 0.03])
    return model


@pytest.mark.parametrize("mode", ["topk", "random"])
@pytest.mark.parametrize(
    ("shares", "left"),
    [
        ([0.8, 0.5, 0.25], [0.8, 0.5, 0.25]),
        ([0.5, 0.7, 0.1], [0.5, 0.5, 0.1]),
        ([1.0, 1.0, 1.0], [1.0, 1.0, 1.0]),
        ([1 / 3, 0.0, 0.0], [1 / 3, 0.0, 0.0]),
    ],
    ids=["falling", "rising", "all", "only CLS"],
)
def test_the_number_of_kept_tokens_is_rounded_up(mode, shares, left, model, tokens):
    functions = tokens.of("validation").tolist()
    changed = equal_shares(model, shares, mode, seed=3)
    assert changed.settings.mode == mode and changed.settings.seed == 3 and not changed.training
    assert changed.classifier is model.classifier and model.settings.mode == "threshold"
    found = predict(changed, tokens, functions, "hard", 4, drop=True)
    expected = [[max(1, math.ceil(share * n - 1e-4)) for share in left] for n in found.lengths.tolist()]
    assert found.kept.tolist() == expected


def test_topk_and_random_and_two_seeds_keep_different_tokens(model, tokens):
    batch = tokens.batch(tokens.of("validation").tolist())
    chosen = [
        equal_shares(model, [0.5, 0.5, 0.5], mode, seed)(batch.ids, batch.mask, "hard").keep
        for mode, seed in (("topk", 0), ("random", 0), ("random", 1))
    ]
    assert not any(torch.equal(chosen[one], chosen[other]) for one, other in ((0, 1), (0, 2), (1, 2)))


@pytest.mark.parametrize("share", [0.5, 0.7, 0.9])
@pytest.mark.parametrize("kind", ["one_based", "zero_based"])
def test_a_ramp_leaves_nearly_the_wanted_share(kind, share, make_classifier, tokens):
    functions = tokens.of("validation").tolist()
    model = PrunedClassifier(make_classifier("longformer"), PruningSettings(final=0.3, ramp=kind)).eval()
    changed = equal_ramp(model, tokens, functions, share, 4)
    found = predict(changed, tokens, functions, "hard", 4, drop=True).kept_share
    assert found == pytest.approx(share, abs=0.03)
    assert changed.settings.mode == "manual" and not changed.thresholds.offset.requires_grad
    values = changed.thresholds.values()
    torch.testing.assert_close(values, ramp(3, float(values[-1]) * (1 if kind == "one_based" else 1.5), kind))
    assert torch.equal(model.thresholds.base, ramp(3, 0.3, kind)), "the learned model stays as it is"


@pytest.mark.parametrize(("share", "left"), [(0.0, 1), (1.0, 0)], ids=["nothing", "all"])
def test_a_ramp_can_keep_all_or_no_tokens(share, left, model, tokens):
    functions = tokens.of("validation").tolist()
    found = predict(equal_ramp(model, tokens, functions, share, 4), tokens, functions, "hard", 4, drop=True)
    assert (found.kept[:, -1] == (left or found.lengths)).all()


def test_weights_of_tokens_are_those_of_a_plain_loop(model, tokens):
    functions = tokens.of("train").tolist()
    received = {token: [] for token in range(VOCABULARY)}
    for function in functions:
        ids = tokens.ids[tokens.slice_of(function)].long()
        with torch.no_grad():
            scores = model(ids[None], torch.ones_like(ids[None]), "dense").scores
        for place, token in enumerate(ids.tolist()):
            received[token].append(sum(float(layer[0, place]) for layer in scores) / 3 * len(ids))
    expected = [sum(values) / len(values) if values else 1.0 for values in received.values()]
    for batch_size in (1, 4):
        found = token_weights(model, tokens, batch_size)
        assert found.dtype == torch.float64 and found.tolist() == pytest.approx(expected, rel=1e-4)
    assert min(len(values) for values in received.values()) == 0 and len(received[CLS]) == 10


def test_the_tokens_of_largest_weight_are_kept_in_order():
    tokens = code_tokens([[10, 11, 12, 13, 10, 11], [20, 21], [10, 12, 13, 11]], ["test", "train", "test"])
    weights = torch.zeros(VOCABULARY, dtype=torch.float64)
    weights[[10, 11, 12, 13]] = torch.tensor([0.5, 2.0, 0.5, 3.0], dtype=torch.float64)
    fewer = shortened(tokens, [0, 2], weights, 0.7)
    # the first 10 rather than 12 or the second 10, which weigh as much
    rows = [fewer.ids[fewer.slice_of(function)].tolist() for function in range(3)]
    assert rows == [[CLS, 10, 11, 13, 11, SEP], [CLS, 20, 21, SEP], [CLS, 10, 13, 11, SEP]]
    spans = [fewer.spans[fewer.slice_of(function)].tolist() for function in range(3)]
    assert spans[0] == [[0, 0], [0, 2], [2, 4], [6, 8], [10, 12], [0, 0]]
    assert spans[2] == [[0, 0], [0, 2], [4, 6], [6, 8], [0, 0]]
    assert fewer.lengths.tolist() == [6, 4, 5] and fewer.lengths.dtype == torch.int32
    assert tokens.lengths.tolist() == fewer.whole_lengths.tolist() == [8, 4, 6], "the given tokens stay as they are"
    assert torch.equal(fewer.labels, tokens.labels) and torch.equal(fewer.splits, tokens.splits)


@pytest.mark.parametrize(("share", "left"), [(0.0, 2), (0.25, 2), (0.3, 3), (0.5, 4), (1.0, 8)])
def test_the_first_and_last_token_are_always_kept(share, left):
    tokens = code_tokens([[10, 11, 12, 13, 14, 15]], ["test"])
    fewer = shortened(tokens, [0], torch.rand(VOCABULARY, dtype=torch.float64), share)
    assert len(fewer.ids) == left and (fewer.ids[0], fewer.ids[-1]) == (CLS, SEP)


def test_of_equal_weights_the_earlier_token_is_kept():
    tokens = code_tokens([list(range(5, 43))], ["test"])
    fewer = shortened(tokens, [0], torch.ones(VOCABULARY, dtype=torch.float64), 0.5)
    assert fewer.ids.tolist() == [CLS, *range(5, 23), SEP]


def test_without_functions_no_token_is_left_out(tokens):
    same = shortened(tokens, [], torch.ones(VOCABULARY, dtype=torch.float64), 0.1)
    assert torch.equal(same.ids, tokens.ids) and torch.equal(same.lengths, tokens.lengths)
