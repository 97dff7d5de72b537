"""Attention over kept tokens against loops over queries and keys, in all layouts."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from covering import all_pairs
from sparse_attention.pruning import scored_attention
from sparse_attention.pruning.bands import Band
from sparse_attention.pruning.cls_attention import GlobalRow
from sparse_attention.pruning.scored_attention import attend, banded_attention, full_attention, local_attention

BANDED_FROM = scored_attention.banded_from  # before the conftest replaces it


def inputs(n=37, batch=2, heads=2, dim=5, seed=0, kept=0.7):
    """Return query, key, value, positions with gaps, and keep states of every kind; CLS is kept."""
    generator = torch.Generator().manual_seed(seed)
    query, key, value = (2 * torch.randn(batch, heads, n, dim, generator=generator, dtype=torch.float64) for _ in "qkv")
    steps = torch.randint(1, 4, (batch, n), generator=generator)
    drawn = torch.rand(batch, n, generator=generator, dtype=torch.float64)
    log_keep = torch.where(drawn < kept, 0.0, torch.where(drawn < kept + 0.1, drawn.log(), -torch.inf))
    log_keep[:, 0] = 0
    return query, key, value, steps.cumsum(1) - steps[:, :1], log_keep


def by_loops(query, key, value, positions, log_keep, window):
    """Compute context, attention received and CLS's row pair by pair."""
    batch, heads, n, dim = query.shape
    context, received = torch.zeros_like(value), torch.zeros(batch, n, dtype=torch.float64)
    cls = torch.zeros(batch, n, dtype=torch.float64)
    products, places, states = (
        (query @ key.transpose(2, 3) / math.sqrt(dim)).tolist(),
        positions.tolist(),
        log_keep.tolist(),
    )
    for b, h, i in itertools.product(range(batch), range(heads), range(n)):
        near = [j for j in range(n) if window is None or j == 0 or abs(places[b][i] - places[b][j]) <= window // 2]
        logits = {j: products[b][h][i][j] + states[b][j] for j in near if states[b][j] > -math.inf}
        weights = {j: math.exp(logit - max(logits.values())) for j, logit in logits.items()}
        for j, weight in weights.items():
            share = weight / sum(weights.values())
            context[b, h, i] += share * value[b, h, j]
            received[b, j] += share * math.exp(states[b][i]) / heads
            if i == 0:
                cls[b, j] += share / heads
    return context, received, cls


def check(attended, expected):
    for ours, theirs in zip(attended, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-10)


@pytest.mark.parametrize("n", [1, 2, 9, 37], ids=lambda n: f"n{n}")
def test_full_attention_equals_plain_loops(n):
    query, key, value, positions, log_keep = inputs(n)
    check(full_attention(query, key, value, log_keep), by_loops(query, key, value, positions, log_keep, None))


@all_pairs(n=[1, 5, 20, 37], window=[2, 10, 64], kept=[0.0, 0.7, 1.0])
def test_local_and_banded_attention_equal_plain_loops(n, window, kept):
    given = inputs(n, kept=kept)
    expected = by_loops(*given, window)
    check(local_attention(*given, window), expected)
    check(banded_attention(*given, window), expected)


@pytest.mark.parametrize("window", [16, 64, 256, 512], ids=lambda w: f"W{w}")
@pytest.mark.parametrize("scored", [True, False], ids=["scored", "unscored"])
def test_the_band_computes_fewer_pairs_where_it_is_taken(window, scored):
    n = BANDED_FROM(window, scored)
    band = Band(torch.arange(n)[None], torch.zeros(1, n), window)
    assert band.bias.numel() < n * n


def test_the_band_is_taken_where_it_is_shorter(monkeypatch):
    taken = []
    for name in ("local_attention", "banded_attention"):
        monkeypatch.setattr(scored_attention, name, lambda *_, name=name: taken.append(name))
    for n in (scored_attention.banded_from(4) - 1, scored_attention.banded_from(4)):
        attend(*inputs(n), window=4)
    assert taken == ["local_attention", "banded_attention"]


def test_large_logits_neither_overflow_nor_vanish():
    query, key, value, positions, log_keep = inputs(20)
    for size in (1e-3, 300):
        given = (size * query).float(), key.float(), value.float(), positions, log_keep.float()
        expected = by_loops(size * query, key, value, positions, log_keep, 8)
        for found in (local_attention(*given, 8), banded_attention(*given, 8)):
            for ours, theirs in zip(found, expected, strict=True):
                torch.testing.assert_close(ours.double(), theirs, rtol=0, atol=2e-3 if size > 1 else 1e-6)


def test_a_query_without_keys_gets_zeros_and_finite_gradients():
    query, key, value, positions, log_keep = inputs(9)
    log_keep = torch.full_like(log_keep, -torch.inf)
    for tensor in (query, key, value):
        tensor.requires_grad_()
    for attended in (
        full_attention(query, key, value, log_keep),
        banded_attention(query, key, value, positions, log_keep, 4),
    ):
        assert all(not part.any() for part in attended)
        gradients = torch.autograd.grad(attended.context.sum() + attended.cls.sum(), (query, key, value))
        assert all(gradient.isfinite().all() for gradient in gradients)


@pytest.mark.parametrize("window", [None, 4, 10])
def test_removing_tokens_is_hiding_them(window):
    query, key, value, positions, log_keep = inputs(batch=1, kept=0.6)
    log_keep = torch.where(log_keep == 0, 0.0, -torch.inf)
    left = (log_keep[0] == 0).nonzero()[:, 0]
    whole = attend(query, key, value, positions, log_keep, window)
    part = attend(*(t[:, :, left] for t in (query, key, value)), positions[:, left], log_keep[:, left], window)
    torch.testing.assert_close(part.context, whole.context[:, :, left])
    torch.testing.assert_close(part.received, whole.received[:, left])
    assert not whole.received[0][log_keep[0] < 0].any()


def test_attention_received_sums_to_the_queries_that_count():
    query, key, value, positions, log_keep = inputs()
    for attended in (
        full_attention(query, key, value, log_keep),
        local_attention(query, key, value, positions, log_keep, 6),
    ):
        torch.testing.assert_close(attended.received.sum(1), log_keep.exp().sum(1))
        torch.testing.assert_close(attended.cls.sum(1), torch.ones(2, dtype=torch.float64))


@pytest.mark.parametrize("size", [1, 50, 700, 5000], ids=lambda size: f"slice{size}")
@pytest.mark.parametrize("window", [None, 10, 64], ids=lambda w: f"W{w}")
def test_slices_change_nothing(monkeypatch, window, size):
    given = inputs(batch=3, heads=4)
    monkeypatch.setattr(scored_attention, "SLICE", 10**9)
    whole = attend(*given, window)
    monkeypatch.setattr(scored_attention, "SLICE", size)
    check(attend(*given, window), whole)


@all_pairs(n=[1, 2, 9, 37, 80], window=[None, 4, 10, 64], start={"band": 0, "all-pairs": 1000})
def test_unscored_attention_is_the_same(monkeypatch, window, n, start):
    monkeypatch.setattr(scored_attention, "banded_from", lambda *_, **__: start)
    *given, log_keep = inputs(n)
    lost = torch.rand(2, 2, n, dtype=torch.float64)
    row = GlobalRow(torch.randn(2, 2, 5, dtype=torch.float64), lost)
    for global_row in (None, row):
        expected = attend(*given, log_keep, window, global_row).context
        ours = scored_attention.unscored_attention(*given, log_keep, window, global_row)
        torch.testing.assert_close(ours, expected, rtol=0, atol=1e-10)
