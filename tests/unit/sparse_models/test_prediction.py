"""Inside a model, supports are those that the same predictor gives in the grid, without padding, with windows."""

from __future__ import annotations

import pytest
import torch

from sparse_attention.attention.masks import keep_mask, window_mask
from sparse_attention.predictors.base import Context
from sparse_attention.predictors.features import Features, block_features
from sparse_attention.predictors.registry import create
from sparse_attention.sparse_models.points import Point
from sparse_attention.sparse_models.prediction import PredictedAttention

LENGTHS = (11, 6, 9)
SETTINGS = {
    "oracle": {"keys": 3},
    "window": {"width": 3},
    "random": {"sparsity": 0.7},
    "bigbird": {"random_keys": 2},
    "cos": {"threshold": 0.5},
    "fixed": {"bucket_size": 3},
    "simhash": {"bits": 3, "tables": 4, "collisions": 2},
}


def batch(dim=6, heads=3):
    generator = torch.Generator().manual_seed(1)
    queries, keys = torch.randn(2, len(LENGTHS), heads, max(LENGTHS), dim, generator=generator)
    real = torch.arange(max(LENGTHS)) < torch.tensor(LENGTHS)[:, None]
    return queries, keys, real[:, None, None, :].expand(-1, -1, max(LENGTHS), -1)


def attention(name, setting=None, block_size=1, **extras):
    predictors = [create(name, Context(seed=4)) for _ in range(2)]
    return PredictedAttention(predictors, Point(setting or SETTINGS[name], **extras), block_size=block_size)


def features(queries, keys, row, index, layer=1):
    n = LENGTHS[row]
    own = queries[row, :, :n], keys[row, :, :n]
    return Features(layer, index, *own, *own, torch.ones(n, n, dtype=torch.bool))


@pytest.mark.parametrize("name", SETTINGS)
def test_supports_are_those_of_the_grid(name):
    queries, keys, mask = batch()
    predicted = attention(name)
    predicted.first = 5
    found = predicted.support(1, queries, keys, mask)
    for row, n in enumerate(LENGTHS):
        wanted = create(name, Context(seed=4)).support(features(queries, keys, row, 5 + row), **SETTINGS[name])
        assert torch.equal(found[row, :, :n, :n], wanted)
        assert not found[row, :, n:].any() and not found[row, :, :, n:].any()


@pytest.mark.parametrize("keep", ["none", "cls", "last", "cls+last"])
@pytest.mark.parametrize("window", [0, 3])
def test_windows_and_kept_tokens_are_added_without_padding(window, keep):
    queries, keys, mask = batch()
    plain = attention("oracle").support(0, queries, keys, mask)
    found = attention("oracle", window=window, keep=keep).support(0, queries, keys, mask)
    for row, n in enumerate(LENGTHS):
        wanted = plain[row, :, :n, :n] | window_mask(n, n, window) | keep_mask(n, n, keep)
        assert torch.equal(found[row, :, :n, :n], wanted)


def test_blocks_of_tokens_are_kept_as_a_whole():
    queries, keys, mask = batch()
    found = attention("window", {"width": 1}, block_size=4, keep="cls").support(0, queries, keys, mask)
    for row, n in enumerate(LENGTHS):
        blocks = torch.arange(n) // 4
        wanted = (blocks[:, None] == blocks) | (blocks[:, None] == 0) | (blocks == 0)
        assert torch.equal(found[row, 0, :n, :n], wanted)
        positions = block_features(features(queries, keys, row, row), 4)
        assert positions.shape[1] == blocks[-1] + 1


def test_a_query_without_keys_stays_empty_or_gets_all_keys():
    queries, keys, mask = batch()
    empty = attention("cos", {"threshold": 0.2}).support(0, queries, keys, mask)
    published = attention("cos", {"threshold": 0.2}, dense_empty_rows=True).support(0, queries, keys, mask)
    found = 0
    for row, n in enumerate(LENGTHS):
        before, after = empty[row, :, :n, :n], published[row, :, :n, :n]
        rows = ~before.any(-1)
        found += int(rows.sum())
        assert after[rows].all() and torch.equal(after[~rows], before[~rows])
    assert found > 0


def test_random_supports_depend_on_the_number_of_the_example():
    queries, keys, mask = batch()
    predicted = attention("random")
    first = predicted.support(0, queries, keys, mask)
    predicted.first = 3
    second = predicted.support(0, queries, keys, mask)
    assert not torch.equal(first, second)
    predicted.first = 0
    assert torch.equal(first, predicted.support(0, queries, keys, mask))


def test_a_local_window_of_the_model_is_never_left():
    queries, keys, mask = batch()
    places = torch.arange(max(LENGTHS))
    local = mask & ((places[:, None] - places).abs() <= 2)
    found = attention("window", {"width": 9}, keep="cls+last").support(0, queries, keys, local)
    assert not (found & ~local).any() and found.any()


def test_an_example_without_tokens_has_no_support():
    queries, keys, mask = batch()
    mask = mask.clone()
    mask[1] = False
    found = attention("oracle").support(0, queries, keys, mask)
    assert not found[1].any() and found[0].any()
    values = torch.randn(queries.shape)
    output = attention("oracle").attend_in_blocks(0, queries, keys, values, mask, 1.0, 1.5)
    assert not output[1].any() and output[0].any()
