"""The metrics against plain loops over pairs, and what must hold of them whatever the supports are."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sparse_attention.attention.blocks import block_counts
from sparse_attention.attention.entmax import probabilities
from sparse_attention.attention.masks import keep_mask, valid_pairs, window_mask
from sparse_attention.attention.supports import Levels, PackedSupport
from sparse_attention.evaluation.counts import GoldPairs, SupportCounts
from sparse_attention.evaluation.frame import OFFSETS, Frame, offset_names
from sparse_attention.evaluation.metrics.registry import all_metrics, metric_values
from sparse_attention.metrics.facts import support_metrics
from sparse_attention.predictors.base import Context
from sparse_attention.predictors.features import Features
from sparse_attention.predictors.registry import create

METRICS = tuple(support_metrics())
# name: (heads, queries, keys, causal, local window)
SHAPES = {
    "square": (2, 7, 7, False, None),
    "causal": (2, 7, 7, True, None),
    "fewer-queries": (3, 3, 10, False, None),
    "fewer-keys": (3, 10, 3, False, None),
    "local": (2, 9, 9, False, 1),
    "one-token": (1, 1, 1, False, None),
    "a-row-of-exactly-64": (1, 5, 64, False, None),
    "a-row-of-65": (1, 5, 65, True, None),
}
WINDOWS, KEEP = [0, 1, 3, 5], ["none", "cls", "last", "cls+last"]


def measuring(gold, frame):
    """A function from supports of points to their metrics `(points, METRICS, extras, heads)` and offsets."""
    count = SupportCounts(gold, frame)

    def measured(support, cost=float("nan")):
        counts, offsets = count(support, cost)
        return metric_values(counts), offsets

    return measured


def measure(gold, valid, windows=(0,), keep=("none",)):
    """A function from one bool support to its metrics `(METRICS, extras, heads)`; predicting costs nothing."""
    metrics = measuring(GoldPairs.of(gold), Frame(valid, windows, keep))
    return lambda support: metrics(PackedSupport.of(support), 0.0)[0][0]


def gold_of(scores, valid, alpha=1.5):
    attention = probabilities(scores.masked_fill(~valid, -torch.inf), alpha)
    support = attention > 0
    return SimpleNamespace(support=support, probabilities=attention[support])


def example(shape, seed=0, tied=False, scale=2.0):
    heads, queries, keys, causal, local_window = SHAPES[shape]
    generator = torch.Generator().manual_seed(seed)
    scores = scale * torch.randn(heads, queries, keys, generator=generator)
    valid = valid_pairs(queries, keys, causal, local_window)
    predicted = torch.rand(heads, queries, keys, generator=generator) < 0.4
    return gold_of(scores.round() if tied else scores, valid), valid, predicted


def by_loops(gold, valid, predicted, window, keep):
    """Metrics of each head, from the definitions, as `(METRICS, heads)`."""
    heads, queries, keys = gold.support.shape
    extra = window_mask(queries, keys, window) | keep_mask(queries, keys, keep)
    attention = torch.zeros(gold.support.shape, dtype=torch.float64)
    attention[gold.support] = gold.probabilities.double()
    columns = []
    for h in range(heads):
        pairs = edges = golden = hits = mass = caught = exact = 0
        for i in range(queries):
            missed = 0
            for j in range(keys):
                if not valid[i, j]:
                    continue
                kept, is_gold = bool(predicted[h, i, j] or extra[i, j]), bool(gold.support[h, i, j])
                pairs, edges, golden, hits = pairs + 1, edges + kept, golden + is_gold, hits + (kept and is_gold)
                mass, caught = mass + float(attention[h, i, j]), caught + kept * float(attention[h, i, j])
                missed += is_gold and not kept
            exact += missed == 0
        values = {
            "edges": edges,
            "sparsity": 1 - edges / pairs if pairs else 1,
            "gold_sparsity": 1 - golden / pairs if pairs else 1,
            "recall": hits / golden if golden else 1,
            "mass_recall": caught / mass if mass else 1,
            "precision": hits / edges if edges else 1,
            "exactness": exact / queries,
            "best_recall": min(1, edges / golden) if golden else 1,
            "computation_sparsity": 1 - edges / pairs if pairs else 1,
        }
        columns.append([values[name] for name in METRICS])
    return np.array(columns).T


def check(gold, valid, predicted):
    result = measure(gold, valid, WINDOWS, KEEP)(predicted)
    extras = [(window, keep) for window in WINDOWS for keep in KEEP]
    assert result.shape == (len(METRICS), len(extras), len(gold.support))
    assert result.dtype == np.float64
    for position, (window, keep) in enumerate(extras):
        np.testing.assert_allclose(result[:, position], by_loops(gold, valid, predicted, window, keep), atol=1e-12)


@pytest.mark.parametrize("tied", [False, True], ids=["distinct", "tied"])
@pytest.mark.parametrize("shape", SHAPES)
def test_equal_plain_loops(shape, tied):
    check(*example(shape, tied=tied))


@pytest.mark.parametrize("scale", [0.0, 1e-3, 30.0], ids=["uniform-gold", "full-gold", "one-key-gold"])
@pytest.mark.parametrize("shape", ["square", "causal", "fewer-queries"])
def test_equal_plain_loops_on_dense_and_sparse_gold(shape, scale):
    check(*example(shape, scale=scale))


@pytest.mark.parametrize("shape", SHAPES)
def test_equal_plain_loops_on_the_empty_and_the_full_support(shape):
    gold, valid, predicted = example(shape)
    check(gold, valid, torch.zeros_like(predicted))
    check(gold, valid, torch.ones_like(predicted))


def test_a_head_without_gold_and_a_query_without_valid_keys_miss_nothing():
    gold, valid, predicted = example("square")
    valid[3] = False
    gold = gold_of(torch.randn(2, 7, 7, generator=torch.Generator().manual_seed(1)), valid)
    check(gold, valid, predicted)
    only_second = gold.support[0].sum()
    gold.support[0], gold.probabilities = False, gold.probabilities[only_second:]
    check(gold, valid, predicted)
    result = dict(zip(METRICS, measure(gold, valid)(torch.zeros_like(predicted)), strict=True))
    assert result["recall"][0].tolist() == [1, 0]
    assert result["mass_recall"][0].tolist() == [1, 0]
    assert result["precision"][0].tolist() == [1, 1]
    assert result["exactness"][0].tolist() == pytest.approx([1, 1 / 7])


def test_no_valid_pair_at_all_is_all_sparse():
    support = torch.zeros(1, 2, 3, dtype=torch.bool)
    gold = SimpleNamespace(support=support, probabilities=torch.zeros(0))
    result = measure(gold, valid_pairs(2, 3) & False, [3], ["cls"])(~support)
    assert dict(zip(METRICS, result[:, 0, 0].tolist(), strict=True)) == {
        "sparsity": 1, "gold_sparsity": 1, "recall": 1, "mass_recall": 1, "precision": 1, "exactness": 1, "edges": 0,
        "best_recall": 1, "computation_sparsity": 1,
    }  # fmt: skip


def test_invalid_pairs_do_not_count():
    gold, valid, predicted = example("causal")
    metrics = measure(gold, valid, WINDOWS, KEEP)
    np.testing.assert_array_equal(metrics(predicted), metrics(predicted & valid))
    np.testing.assert_array_equal(metrics(predicted), metrics(predicted | ~valid))


def test_a_mask_of_known_numbers():
    valid = valid_pairs(3, 3, causal=True)
    support = torch.tensor([[[1, 0, 0], [0, 1, 0], [1, 0, 1]]], dtype=torch.bool)
    gold = SimpleNamespace(support=support, probabilities=torch.tensor([1.0, 1.0, 0.25, 0.75]))
    predicted = torch.tensor([[[1, 1, 1], [0, 0, 0], [0, 1, 1]]], dtype=torch.bool)
    result = measure(gold, valid, [0, 1], ["none", "cls"])(predicted)[:, :, 0]
    expected = {
        "edges": [3, 5, 4, 6],
        "sparsity": [3 / 6, 1 / 6, 2 / 6, 0],
        "gold_sparsity": [2 / 6] * 4,
        "recall": [2 / 4, 3 / 4, 3 / 4, 1],
        "mass_recall": [1.75 / 3, 2 / 3, 2.75 / 3, 1],
        "precision": [2 / 3, 3 / 5, 3 / 4, 4 / 6],
        "exactness": [1 / 3, 2 / 3, 2 / 3, 1],
        "best_recall": [3 / 4, 1, 1, 1],
        "computation_sparsity": [3 / 6, 1 / 6, 2 / 6, 0],
    }
    for name, values in zip(METRICS, result, strict=True):
        assert values.tolist() == pytest.approx(expected[name]), name


@pytest.mark.parametrize("shape", SHAPES)
def test_nested_supports_at_once_equal_each_alone(shape):
    gold, valid, _ = example(shape, seed=4)
    generator = torch.Generator().manual_seed(5)
    first = torch.randint(0, 4, gold.support.shape, generator=generator, dtype=torch.uint8)
    metrics = measuring(GoldPairs.of(gold), Frame(valid, WINDOWS, KEEP))
    together, offsets = metrics(Levels(first, 3), [0.0, 1.0, 2.0])
    for point in range(3):
        alone, near = metrics(PackedSupport.of(first <= point), float(point))
        np.testing.assert_array_equal(together[point], alone[0])
        np.testing.assert_array_equal(offsets[point], near[0])


@pytest.mark.parametrize("size", [2, 3, 5])
@pytest.mark.parametrize("shape", ["square", "causal", "fewer-queries", "local"])
def test_supports_of_blocks_count_their_tokens(shape, size):
    gold, valid, _ = example(shape, seed=6)
    heads, queries, keys = gold.support.shape
    grid = -(-queries // size), -(-keys // size)
    predicted = torch.rand(heads, *grid, generator=torch.Generator().manual_seed(7)) < 0.4
    counts = block_counts(valid, size)
    metrics = measuring(GoldPairs.of(gold, size), Frame(counts > 0, WINDOWS, KEEP, counts))
    result = metrics(PackedSupport.of(predicted), 0.0)[0][0]
    for position, (window, keep) in enumerate((w, k) for w in WINDOWS for k in KEEP):
        by_block = predicted | window_mask(*grid, window) | keep_mask(*grid, keep)
        by_token = by_block.repeat_interleave(size, 1).repeat_interleave(size, 2)[:, :queries, :keys]
        np.testing.assert_allclose(result[:, position], by_loops(gold, valid, by_token, 0, "none"), atol=1e-12)


def test_repeated_scores_and_the_cost_of_predicting_lower_the_computation_sparsity():
    gold, valid, predicted = example("square")
    support = PackedSupport.of(predicted)
    repeated = PackedSupport(support.words, support.keys, torch.tensor([40.0, 30.0], dtype=torch.float64))
    row = METRICS.index("computation_sparsity")
    metrics = measuring(GoldPairs.of(gold), Frame(valid, [0, 3], ["none"]))
    (values,), _ = metrics(repeated, 5.0)
    added = (window_mask(7, 7, 3) & ~predicted).sum((1, 2)).numpy()
    expected = 1 - (np.array([40, 30]) + 5 + np.stack([np.zeros(2), added])) / 49
    np.testing.assert_allclose(values[row], expected)
    assert np.isnan(metrics(support)[0][0, row]).all()


@pytest.mark.parametrize("shape", ["causal", "fewer-queries", "a-row-of-65"])
def test_pairs_are_counted_by_distance(shape):
    gold, valid, predicted = example(shape)
    count = SupportCounts(GoldPairs.of(gold), Frame(valid))
    _, (offsets,) = count(PackedSupport.of(predicted))
    lows = (-1, *OFFSETS)
    highs = (*OFFSETS, 10**9)
    for counted, support in ((offsets, predicted & valid), (count.gold_offsets(), gold.support)):
        for h in range(len(support)):
            distance = [abs(int(i) - int(j)) for i, j in support[h].nonzero()]
            assert counted[h].tolist() == [
                sum(low < d <= high for d in distance) for low, high in zip(lows, highs, strict=True)
            ]
    assert offset_names()[:5] == ["0", "1", "2", "3-4", "5-8"]
    assert offset_names()[-1] == ">1024" and len(offset_names()) == len(offsets[0])


def test_a_class_says_what_the_facts_read_of_it():
    assert [metric.name for metric in all_metrics()] == list(support_metrics())
    for metric in all_metrics():
        facts = vars(support_metrics()[metric.name])
        assert {name: getattr(metric, name) for name in facts} == facts


@st.composite
def examples(draw):
    heads, queries, keys = (draw(st.integers(1, most)) for most in (3, 12, 70))
    seed, causal = draw(st.integers(0, 10**6)), draw(st.booleans())
    generator = torch.Generator().manual_seed(seed)
    scores = draw(st.sampled_from([0.0, 1.0, 5.0])) * torch.randn(heads, queries, keys, generator=generator)
    valid = valid_pairs(queries, keys, causal)
    predicted = torch.rand(heads, queries, keys, generator=generator) < draw(st.sampled_from([0.0, 0.1, 0.6, 1.0]))
    return gold_of(scores, valid), valid, predicted


@settings(max_examples=60, deadline=None, derandomize=True)
@given(examples())
def test_what_holds_of_any_support(case):
    gold, valid, predicted = case
    metrics = measure(gold, valid, [0, 1, 3, 9, 999], ["none", "cls", "last", "cls+last"])
    values = dict(zip(METRICS, metrics(predicted), strict=True))
    # windows; without and with the last token; without and with the first
    by_window = {name: array.reshape(5, 2, 2, -1) for name, array in values.items()}
    for axis in (0, 1, 2):
        for name, metric in support_metrics().items():
            steps = np.diff(by_window[name], axis=axis)
            assert not metric.rises or (steps >= -1e-12).all(), name
            assert not metric.falls or (steps <= 1e-12).all(), name
    exact = values["exactness"] == 1
    assert (values["recall"][exact] == 1).all()
    assert (values["mass_recall"][exact] == 1).all()
    assert (values["edges"] >= values["recall"] * gold.support.sum((1, 2)).numpy() - 1e-9).all()
    for name, metric in support_metrics().items():
        low, high = (np.inf * sign if end is None else end for end, sign in ((metric.low, -1), (metric.high, 1)))
        assert ((values[name] >= low) & (values[name] <= high)).all(), name
    assert (values["recall"] <= values["best_recall"]).all()
    everything = by_window["sparsity"][-1]
    assert (by_window["recall"][-1] == 1).all()
    assert (everything == 0).all()
    order = np.random.default_rng(0).permutation(len(predicted))
    parts = torch.split(gold.probabilities, gold.support.sum((1, 2)).tolist())
    permuted = SimpleNamespace(support=gold.support[order], probabilities=torch.cat([parts[head] for head in order]))
    swapped = measure(permuted, valid, [3], ["cls"])(predicted[order])
    np.testing.assert_array_equal(swapped, measure(gold, valid, [3], ["cls"])(predicted)[..., order])


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("keys", [1, 3, 8])
def test_no_support_of_as_many_keys_a_query_beats_the_oracle(keys, seed):
    generator = torch.Generator().manual_seed(seed)
    queries_, keys_ = (torch.randn(2, 16, 8, generator=generator) for _ in range(2))
    valid = valid_pairs(16, 16, causal=seed % 2 == 0)
    gold = gold_of(queries_ @ keys_.transpose(1, 2) / 8**0.5, valid)
    features = Features(0, 0, queries_, keys_, queries_, keys_, valid)
    oracle = create("oracle", Context()).support(features, keys=keys)
    noise = torch.rand(2, 16, 16, generator=generator).masked_fill(~valid, -1)
    other = torch.zeros_like(oracle).scatter_(-1, noise.topk(keys, dim=-1).indices, True) & valid
    assert torch.equal(oracle.sum(-1), other.sum(-1))
    best, rival = (dict(zip(METRICS, measure(gold, valid)(m), strict=True)) for m in (oracle, other))
    for name in ("recall", "mass_recall", "exactness", "precision"):
        assert (best[name] >= rival[name] - 1e-12).all(), name


@pytest.mark.parametrize("name", ["cos", "l2"])
def test_recall_grows_with_the_threshold(name):
    generator = torch.Generator().manual_seed(2)
    queries_, keys_ = (torch.randn(2, 16, 4, generator=generator) for _ in range(2))
    valid = valid_pairs(16, 16)
    gold = gold_of(queries_ @ keys_.transpose(1, 2), valid)
    features = Features(0, 0, queries_, keys_, queries_, keys_, valid)
    metrics, predictor = measure(gold, valid, [0, 3]), create(name, Context())
    recalls = [
        metrics(predictor.support(features, threshold=threshold))[METRICS.index("recall")]
        for threshold in (0.05, 0.2, 0.7, 1.5)
    ]
    assert all((after >= before).all() for before, after in pairwise(recalls))
