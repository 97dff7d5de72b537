"""Attention over blocks: all keys of the blocks that hold a predicted pair, and no others."""

from __future__ import annotations

import pytest
import torch

from sparse_attention.attention.blocks import block_any
from sparse_attention.errors import InputError
from sparse_attention.evaluation.block_lists import predict_lists
from sparse_attention.models.attention import NAME, Attention, observed, set_attention
from sparse_attention.models.masked_lm import base_output
from sparse_attention.models.predicted import IN_BLOCKS, PREDICTED, set_predictors
from sparse_attention.predictors.base import Context
from sparse_attention.predictors.registry import create
from sparse_attention.sparse_models.points import Point
from sparse_attention.sparse_models.prediction import PredictedAttention

LENGTHS = (60, 41)
POINTS = {
    "window": {"width": 5},
    "strided": {"stride": 20, "expressivity": 1},
    "fixed": {"bucket_size": 4},
    "quest": {"page": 4, "pages": 2},
    "oracle": {"keys": 2},
    "reformer": {"buckets": 16, "rounds": 1, "tied": False},
}


def prepared(make_model, name, family="bert", attention="entmax~1.5", **extras):
    """Return a model whose blocks have 16 tokens, and its predictors."""
    model = make_model(family).eval()
    model.set_attn_implementation(NAME)
    set_attention(model, Attention.parse(attention))
    predicted = PredictedAttention([create(name, Context(1)) for _ in range(2)], Point(POINTS[name], **extras))
    predicted.block = 16
    predicted.attach(model)
    return model, predicted


def batch():
    tokens = torch.randint(5, 60, (2, max(LENGTHS)), generator=torch.Generator().manual_seed(0))
    return tokens, (torch.arange(max(LENGTHS)) < torch.tensor(LENGTHS)[:, None]).long()


def output_of(model, implementation):
    model.set_attn_implementation(implementation)
    with torch.no_grad():
        output = base_output(model, *batch())
    return torch.cat([output[row, :n] for row, n in enumerate(LENGTHS)])


def widened(predicted):
    """Return predictors of whole blocks: of every pair of blocks with a predicted pair, all pairs that are valid."""

    def of(layer):
        def predict(queries, keys, mask):
            support = predicted.support(layer, queries, keys, mask)
            blocks = block_any(support, 16).repeat_interleave(16, -2).repeat_interleave(16, -1)
            return blocks[..., : mask.shape[2], : mask.shape[3]] & mask

        return predict

    return [of(layer) for layer in range(2)]


@pytest.mark.parametrize("name", POINTS)
@pytest.mark.parametrize("attention", ["entmax~1.5", "softmax"])
def test_all_keys_of_the_predicted_blocks_are_attended_to(name, attention, make_model):
    model, predicted = prepared(make_model, name, attention=attention, window=3, keep="cls")
    found = output_of(model, IN_BLOCKS)
    set_predictors(model, widened(predicted))
    torch.testing.assert_close(found, output_of(model, PREDICTED), atol=2e-5, rtol=1e-4)


# under a local window, quantizers may also keep blocks whose shared buckets lie outside of it
@pytest.mark.parametrize(("family", "name"), [("roberta", "fixed"), ("modernbert", "window")])
def test_other_families_and_local_windows(family, name, make_model):
    model, predicted = prepared(make_model, name, family, window=1)
    found = output_of(model, IN_BLOCKS)
    set_predictors(model, widened(predicted))
    torch.testing.assert_close(found, output_of(model, PREDICTED), atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("name", ["fixed", "reformer"])
def test_quantizers_cut_blocks_in_the_order_of_buckets(name, make_model):
    model, predicted = prepared(make_model, name)
    found = output_of(model, IN_BLOCKS)

    def of(layer):
        def predict(queries, keys, mask):
            kept = torch.zeros(*queries.shape[:3], keys.shape[2], dtype=torch.bool)
            for one in predicted.predictions(layer, queries, keys, mask):
                lists = predict_lists(predicted.predictors[layer], one.features, POINTS[name], 16, 16, reorder=True)
                kept[one.row, :, one.tokens, one.tokens] = lists.tokens()[0]
            return kept & mask

        return predict

    set_predictors(model, [of(layer) for layer in range(2)])
    torch.testing.assert_close(found, output_of(model, PREDICTED), atol=2e-5, rtol=1e-4)


def test_blocks_leave_something_out(make_model):
    model, _ = prepared(make_model, "window")
    found, full = output_of(model, IN_BLOCKS), output_of(model, NAME)
    assert (found - full).abs().max() > 1e-2


def test_no_probabilities_are_held(make_model):
    model, _ = prepared(make_model, "window")
    seen = []
    with observed(seen.append):
        output_of(model, IN_BLOCKS)
    assert seen == []


def test_a_model_without_attention_over_blocks_says_so(make_model):
    model, predicted = prepared(make_model, "window")
    set_predictors(model, [predicted.support] * 2)
    with pytest.raises(InputError, match="the model has no attention over blocks; allowed: a model of load_sparse"):
        output_of(model, IN_BLOCKS)


def test_dropped_probabilities_are_refused(make_model):
    model, _ = prepared(make_model, "window")
    model.train()
    with pytest.raises(InputError, match="a dropout of 0.1 of the probabilities, which are not held; allowed: 0"):
        output_of(model, IN_BLOCKS)
