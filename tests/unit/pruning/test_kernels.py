"""The kernels of packed attention against plain loops over sequences: on a GPU, or interpreted where there is none."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from sparse_attention.pruning import dropping
from sparse_attention.pruning.model import PrunedClassifier
from sparse_attention.pruning.packed import Packed
from sparse_attention.pruning.thresholds import PruningSettings

attend_runs = pytest.importorskip("sparse_attention.pruning.kernels", exc_type=ModuleNotFoundError).attend_runs

pytestmark = pytest.mark.gpu if torch.cuda.is_available() else []
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
LENGTHS = {"one": [1], "pair": [2, 5], "ragged": [40, 1, 26, 3], "long": [150, 70], "block": [64, 128, 65]}
CLOSE = {torch.float32: 2e-5, torch.bfloat16: 2e-2, torch.float16: 3e-3}


def packed_of(lengths, kept=0.6):
    """Return packed sequences of which some tokens are gone, CLS never."""
    n = max(lengths)
    real = torch.arange(n) < torch.tensor(lengths)[:, None]
    packed = Packed(torch.zeros(len(lengths), n, 1, device=DEVICE), real.to(DEVICE))
    stay = torch.rand(len(packed.origins), generator=torch.Generator().manual_seed(sum(lengths))) < kept
    packed.keep_only(stay.to(DEVICE) | (packed.origins % n == 0))
    packed.states = packed.states.new_zeros(len(packed.origins), 1)
    return packed


def drawn(tokens, hidden, kind="normal", dtype=torch.float32):
    """Return queries, keys and values of a kind."""
    generator = torch.Generator().manual_seed(hidden)
    query, key, value = torch.randn(3, tokens, hidden, generator=generator)
    if kind == "tied":
        key[:] = key[:1]
    elif kind == "extreme":
        query, key = 20 * query, 20 * key
    return [tensor.to(DEVICE, dtype) for tensor in (query, key, value)]


def by_loops(query, key, value, heads, packed, window):
    """Compute context and attention received in float64, by sequence and head; no attention is received from CLS."""
    query, key, value = (tensor.double().cpu().unflatten(1, (heads, -1)) for tensor in (query, key, value))
    positions, starts = packed.origins.cpu() % packed.n, [0, *torch.tensor(packed.lengths).cumsum(0).tolist()]
    context, received = torch.zeros_like(value), torch.zeros(len(query), dtype=torch.float64)
    for first, last in itertools.pairwise(starts):
        own = positions[first:last]
        for head in range(heads):
            q, k, v = (tensor[first:last, head] for tensor in (query, key, value))
            logits = q @ k.T / math.sqrt(q.shape[1])
            if window is not None:
                far = (own[:, None] - own).abs() > window // 2
                far[:, 0] = False
                logits = logits.masked_fill(far, -torch.inf)
            shares = logits.softmax(-1)
            context[first:last, head] = shares @ v
            received[first:last] += shares[1:].sum(0) / heads
    return context.flatten(1), received


def check(lengths, hidden, heads, window, kind="normal", dtype=torch.float32):
    packed = packed_of(LENGTHS[lengths])
    given = drawn(len(packed.origins), hidden, kind, dtype)
    context, received = attend_runs(*given, heads, packed.runs(window))
    expected = by_loops(*given, heads, packed, window)
    most = CLOSE[dtype] * (10 if kind == "extreme" else 1)
    torch.testing.assert_close(context.double().cpu(), expected[0], rtol=most, atol=most)
    torch.testing.assert_close(received.double().cpu(), expected[1], rtol=most, atol=most)
    alone, nothing = attend_runs(*given, heads, packed.runs(window), scored=False)
    assert nothing is None and torch.equal(alone, context)


@pytest.mark.parametrize("window", [2, 10, 90, None], ids=lambda window: f"W{window}")
@pytest.mark.parametrize("lengths", LENGTHS)
def test_context_and_received_attention_equal_plain_loops(lengths, window):
    check(lengths, 10, 2, window)


@pytest.mark.parametrize("kind", ["tied", "extreme"])
def test_ties_and_large_logits(kind):
    check("ragged", 32, 2, 20, kind)


@pytest.mark.parametrize(("hidden", "heads"), [(3, 3), (64, 1), (96, 3), (160, 2), (128, 1)])
def test_heads_of_any_width(hidden, heads):
    check("block", hidden, heads, 60)


NO_INTERPRETER = pytest.mark.skipif(DEVICE == "cpu", reason="products of bfloat16 are not interpreted rightly")


@pytest.mark.parametrize("dtype", [pytest.param(torch.bfloat16, marks=NO_INTERPRETER), torch.float16], ids=str)
def test_half_precision(dtype):
    check("long", 64, 2, 40, dtype=dtype)


def test_a_row_does_not_depend_on_other_sequences():
    packed = packed_of(LENGTHS["ragged"])
    query, key, value = drawn(len(packed.origins), 8)
    before = attend_runs(query, key, value, 2, packed.runs(None))
    key[packed.lengths[0] :], value[packed.lengths[0] :] = torch.nan, torch.nan
    after = attend_runs(query, key, value, 2, packed.runs(None))
    for one, other in zip(before, after, strict=True):
        assert torch.equal(one[: packed.lengths[0]], other[: packed.lengths[0]])


# every family and setting; the kernels are slow where they are interpreted
@pytest.mark.parametrize(
    ("settings", "family"),
    [
        pytest.param(PruningSettings(score="mean", final=0.05), "longformer", id="mean-longformer"),
        pytest.param(PruningSettings(score="mean", final=0.05), "roberta", id="mean-roberta"),
        pytest.param(PruningSettings(score="relative", final=0.4), "longformer", id="relative-longformer"),
        pytest.param(PruningSettings(score="relative", final=0.4), "bert", id="relative-bert"),
        pytest.param(PruningSettings("manual", score="cls", final=0.05), "roberta", id="cls-roberta"),
        pytest.param(PruningSettings("topk", final=0.3), "longformer", id="topk-longformer"),
        pytest.param(PruningSettings("random", final=0.3), "bert", id="random-bert"),
        pytest.param(PruningSettings(score="relative", final=1.0), "longformer", id="only-CLS-longformer"),
    ],
)
def test_removing_tokens_gives_the_logits_of_hiding_them(family, settings, make_classifier, make_batch, monkeypatch):
    monkeypatch.setattr(dropping, "fused", lambda states: True)
    model = PrunedClassifier(make_classifier(family), settings).eval().to(DEVICE)
    ids, mask = (tensor.to(DEVICE) for tensor in make_batch("B3-ragged"))
    with torch.no_grad():
        dense, hard = model(ids, mask), model(ids, mask, "hard")
    found = model.predict_dropped(ids, mask)
    torch.testing.assert_close(found.logits, hard.logits, rtol=0, atol=1e-4)
    assert torch.equal(found.survived[mask == 1], hard.keep.sum(0).long()[mask == 1])
    few = model.predict_dropped(ids, mask, logits_only=True)
    torch.testing.assert_close(few.logits, hard.logits, rtol=0, atol=1e-4)
    unpruned = model.predict_dropped(ids, mask, prune=False)
    torch.testing.assert_close(unpruned.logits, dense.logits, rtol=0, atol=1e-4)
