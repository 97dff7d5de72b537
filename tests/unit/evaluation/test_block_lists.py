"""Block lists of every predictor hold its support, with windows and kept tokens, in both orders, also on blocks."""

from __future__ import annotations

import dataclasses
import re

import pytest
import torch
from torch.nn.attention.flex_attention import flex_attention

from examples import features_of_shape
from fitted_predictors import fitted
from guides import Guide
from points import GRIDS, points
from sparse_attention.attention.masks import keep_mask, valid_pairs, window_mask
from sparse_attention.block_sparse.dispatch import attend
from sparse_attention.block_sparse.visible import Visible
from sparse_attention.evaluation.block_lists import predict_lists
from sparse_attention.predictors.base import BucketPredictor, Context
from sparse_attention.predictors.features import block_features
from sparse_attention.predictors.pages import PageBounds
from sparse_attention.predictors.registry import discover
from sparse_attention.predictors.window import Window

QUANTIZERS = sorted(name for name, info in discover().items() if info.quantizes)
EXAMPLES = {
    "random": (False, False, 70),
    "causal": (False, True, 70),
    "tied": (True, False, 70),
    "ragged": (False, True, 53),
}


def example(label):
    """Return 70 queries and keys, of which nobody sees the last when they are padding."""
    tied, causal, real = EXAMPLES[label]
    valid = valid_pairs(70, 70, causal) & (torch.arange(70) < real)
    features = features_of_shape("long", tied=tied, index=4)
    return dataclasses.replace(features, pairs=Visible.of_mask(valid[None, None]))


def wanted(predictor, features, point, window, keep):
    _, queries, keys = features.shape
    extra = window_mask(queries, keys, window) | keep_mask(queries, keys, keep)
    return (predictor.support(features, **point) | extra) & features.valid


@pytest.mark.parametrize("label", EXAMPLES)
@pytest.mark.parametrize("name", GRIDS)
def test_lists_hold_the_support(name, label):
    features, predictor = example(label), fitted(name)
    for number, point in enumerate(points(name)):
        extras = {"window": 5, "keep": "cls+last"} if number % 2 else {"window": 0, "keep": "none"}
        support = wanted(predictor, features, point, **extras)
        found = predict_lists(predictor, features, point, 8, 16, **extras)
        assert found.order is None and not (support & ~found.tokens()).any(), point
        assert not (found.lists.blocks() & ~features.valid_blocks(8, 16)).any()


@pytest.mark.parametrize("label", EXAMPLES)
@pytest.mark.parametrize("name", QUANTIZERS)
def test_sorted_lists_hold_the_support(name, label):
    features, predictor = example(label), fitted(name)
    for point in points(name):
        for extras in ({"window": 0, "keep": "none"}, {"window": 5, "keep": "cls+last"}):
            found = predict_lists(predictor, features, point, 8, 16, reorder=True, **extras)
            assert not (wanted(predictor, features, point, **extras) & ~found.tokens()).any(), point


@pytest.mark.parametrize("name", sorted(name for name, info in discover().items() if info.blocks and not info.fits))
def test_lists_of_predictors_on_blocks_of_tokens_hold_their_tokens(name):
    tokens = features_of_shape("long")
    features, predictor = block_features(tokens, 8), fitted(name)
    for point in points(name):
        support = predictor.support(features, **point)
        kept = support.repeat_interleave(8, 1).repeat_interleave(8, 2)[:, :70, :70] & tokens.valid
        assert not (kept & ~predict_lists(predictor, features, point, 16, 16).tokens()).any(), point
    with pytest.raises(ValueError, match="allowed: multiples of 8"):
        predict_lists(predictor, features, point, 4, 16)


@pytest.mark.parametrize("reorder", [False, True], ids=["as they are", "sorted"])
@pytest.mark.parametrize("label", ["causal", "ragged"])
def test_attention_and_flex_attention_take_a_prediction(label, reorder):
    features, predictor = example(label), fitted("kmeans")
    assert isinstance(predictor, BucketPredictor)
    prediction = predict_lists(predictor, features, {"top": 1}, 16, 16, keep="cls", reorder=reorder)
    query, key, value = torch.randn(3, 1, 3, 70, 16, generator=torch.Generator().manual_seed(0))
    visible = features.pairs
    found = prediction.attend(query, key, value, 1.0, visible).output
    kept = prediction.tokens() & visible.mask()
    scores = (query @ key.mT / 4).masked_fill(~kept, -torch.inf)
    torch.testing.assert_close(found, scores.softmax(-1) @ value, rtol=0, atol=1e-5)
    mask = prediction.to_block_mask(visible)
    if not reorder:
        by_flex = flex_attention(query, key, value, block_mask=mask)
        torch.testing.assert_close(by_flex, found, rtol=0, atol=1e-5)
        return
    order = prediction.order
    given = (x[:, torch.arange(3)[:, None], at[0]] for x, at in ((query, order.queries), (key, order.keys),
                                                                (value, order.keys)))  # fmt: skip
    by_flex = flex_attention(*given, block_mask=mask)
    back = by_flex[:, torch.arange(3)[:, None], order.queries[0].argsort(-1)]
    torch.testing.assert_close(back, found, rtol=0, atol=1e-5)


def test_heads_that_keep_the_same_share_their_lists():
    prediction = predict_lists(Window(Context()), example("causal"), {"width": 3}, 16, 16)
    assert prediction.lists.counts.shape == (1, 1, 5)
    query, key, value = torch.randn(3, 1, 3, 70, 16, generator=torch.Generator().manual_seed(0))
    expected = attend(query, key, value, prediction.lists, 1.5).output
    assert torch.equal(prediction.attend(query, key, value).output, expected)


def test_only_buckets_can_be_sorted():
    with pytest.raises(ValueError, match="reorder: quest has no buckets of tokens; allowed: a quantizer"):
        predict_lists(PageBounds(Context()), example("causal"), {"page": 4, "pages": 1}, 16, 16, reorder=True)


def test_the_guide_runs_and_names_what_is_fast(capsys):
    guide = Guide("block-lists.md")
    torch.manual_seed(0)
    names = {}
    for block in guide.blocks():
        exec(compile(block, "block-lists.md", "exec"), names)
    assert "of the blocks are kept" in capsys.readouterr().out
    assert names["output"].shape == (1, 12, 1024, 64)
    fast = [name for name, info in discover().items() if not info.quadratic]
    listed = re.search(r"`quadratic` is False for(.*?)\.", guide.text, re.DOTALL)[1]
    assert sorted(re.findall(r"\w+", listed.replace(" and ", " "))) == fast
