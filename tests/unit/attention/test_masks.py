"""Masks against their definitions, pair by pair."""

from __future__ import annotations

import pytest
import torch

from sparse_attention.attention.masks import keep_mask, valid_pairs, window_mask
from sparse_attention.errors import InputError

SHAPES = [(1, 1), (7, 7), (4, 9), (9, 4)]
shapes = pytest.mark.parametrize(("queries", "keys"), SHAPES, ids=[f"{n}x{m}" for n, m in SHAPES])


def by_pair(queries, keys, rule):
    return torch.tensor([[rule(i, j) for j in range(keys)] for i in range(queries)])


@shapes
@pytest.mark.parametrize("causal", [False, True], ids=["bidirectional", "causal"])
@pytest.mark.parametrize("local", [None, 0, 1, 3, 100])
def test_valid_pairs(queries, keys, causal, local):
    expected = by_pair(queries, keys, lambda i, j: (not causal or j <= i) and (local is None or abs(i - j) <= local))
    assert torch.equal(valid_pairs(queries, keys, causal, local), expected)


@shapes
@pytest.mark.parametrize("width", [0, 1, 3, 5, 25])
def test_window_is_centred(queries, keys, width):
    expected = by_pair(queries, keys, lambda i, j: width > 0 and abs(i - j) <= (width - 1) / 2)
    assert torch.equal(window_mask(queries, keys, width), expected)


def test_window_has_its_width_away_from_the_borders():
    assert window_mask(20, 20, 7)[10].sum() == 7


@pytest.mark.parametrize("width", [-1, 2, 4])
def test_window_that_cannot_be_centred_is_refused(width):
    with pytest.raises(InputError, match=f"{width}.*odd"):
        window_mask(5, 5, width)


@shapes
@pytest.mark.parametrize(
    ("keep", "kept"),
    [("none", lambda n: []), ("cls", lambda n: [0]), ("last", lambda n: [n - 1]), ("cls+last", lambda n: [0, n - 1])],
    ids=["none", "cls", "last", "cls+last"],
)
def test_kept_tokens_are_rows_and_columns(queries, keys, keep, kept):
    expected = by_pair(queries, keys, lambda i, j: i in kept(queries) or j in kept(keys))
    assert torch.equal(keep_mask(queries, keys, keep), expected)


def test_unknown_keep_is_refused():
    with pytest.raises(InputError, match=r"evaluate.keep: 'both'.*cls\+last"):
        keep_mask(3, 3, "both")
