"""The low-dimensional entmax against its definition by sums over higher scores, and against entmax itself."""

from __future__ import annotations

import dataclasses
import math
from itertools import pairwise

import jsonschema
import pytest
import torch

from covering import all_pairs
from examples import EXAMPLES
from sparse_attention.attention.entmax import probabilities, threshold
from sparse_attention.predictors.base import Context
from sparse_attention.predictors.low_dim_entmax import MIN_CANDIDATES, LowDimEntmax
from sparse_attention.qk.gold import gold_of
from sparse_attention.qk.store import Example

ALPHAS = [1.05, 1.2, 1.5, 1.7, 2.0]


def support_of(features, alpha):
    return LowDimEntmax(Context()).support(features, alpha=alpha)


def scaled(features, factor):
    return dataclasses.replace(features, queries=factor * features.queries)


def sums_above(features, alpha):
    """For each pair `Σ ((alpha - 1) (higher score - its score))^(1 / (alpha - 1))`, in loops; infinite if not valid."""
    heads, queries, keys = features.shape
    q, k, root = features.queries.tolist(), features.keys.tolist(), math.sqrt(features.keys.shape[-1])
    sums = torch.full(features.shape, math.inf, dtype=torch.float64)
    for h in range(heads):
        for i in range(queries):
            score = {
                j: sum(x * y for x, y in zip(q[h][i], k[h][j], strict=True)) / root
                for j in range(keys)
                if features.valid[i, j]
            }
            for j, own in score.items():
                gaps = [(alpha - 1) * (other - own) for other in score.values() if other > own]
                sums[h, i, j] = sum(gap ** (1 / (alpha - 1)) for gap in gaps)
    return sums


@all_pairs(alpha=ALPHAS, factor={"flat": 1.0, "peaked": 6.0}, features=EXAMPLES, indirect=["features"])
def test_a_key_is_kept_while_the_higher_scores_leave_it_something(alpha, factor, features):
    features = scaled(features, factor)
    sums = sums_above(features, alpha)
    decided = (sums - 1).abs() > 1e-4  # exactly 1: the threshold itself, and rounding decides
    assert torch.equal(support_of(features, alpha)[decided], (sums < 1)[decided])


@all_pairs(
    alpha=ALPHAS,
    factor=[0.1, 1.0, 8.0, 100.0],
    tied={"distinct": False, "tied": True},
    also=[{"alpha": "1.5", "factor": "1.0", "tied": "distinct"}],
)
def test_only_the_highest_scores_matter_for_the_threshold(alpha, factor, tied, make_features):
    features = scaled(make_features("long", tied=tied, dim=4), factor)
    scores = features.queries.double() @ features.keys.double().transpose(1, 2) / 2
    candidates = ((scores - scores.amax(-1, keepdim=True)) * (alpha - 1) > -1).sum(-1)
    if (factor, alpha, tied) == (1.0, 1.5, False):
        assert candidates.min() <= MIN_CANDIDATES < 2 * MIN_CANDIDATES < candidates.max()
    lowest = threshold(scores, alpha, features.valid)
    decided = (scores * (alpha - 1) - lowest).abs() > 1e-5 * max(1.0, float(scores.abs().max()))
    expected = probabilities(scores, alpha, features.valid) > 0
    assert torch.equal(support_of(features, alpha)[decided], expected[decided])


@pytest.mark.parametrize("factor", [0.1, 1.0, 8.0])
@pytest.mark.parametrize("alpha", ALPHAS)
def test_bounds_leave_at_least_the_support_and_save_work(alpha, factor, make_features):
    features = scaled(make_features("long", dim=4), factor)
    rows = LowDimEntmax(Context()).prepare(features)
    candidates = rows.candidates(alpha)
    scores = features.queries.double() @ features.keys.double().transpose(1, 2) / 2
    sizes = (probabilities(scores, alpha, features.valid) > 1e-12).sum(-1)
    within_one = ((scores - scores.amax(-1, keepdim=True)) * (alpha - 1) > -1).sum(-1)
    assert (sizes <= candidates).all() and (candidates <= within_one).all()
    if factor == 1 and alpha > 1.5:
        assert candidates.sum() < 0.8 * within_one.sum()


def test_every_key_within_one_of_the_highest_matters(make_features):
    gaps = torch.cat([torch.zeros(1), 0.92 + 0.0002 * torch.arange(69)])
    features = dataclasses.replace(
        make_features("long", dim=1), queries=torch.ones(3, 70, 1), keys=-gaps[:, None].expand(3, -1, -1)
    )
    expected = probabilities(-gaps.double(), 2.0) > 0
    assert MIN_CANDIDATES < expected.sum() < 70
    assert torch.equal(support_of(features, 2.0), expected.expand(features.shape))


@pytest.mark.parametrize("shape", ["square", "causal", "fewer-queries", "fewer-keys", "local", "one-token", "long"])
def test_without_a_projection_it_is_the_gold_support(shape, make_features):
    features = make_features(shape)
    raw = dataclasses.replace(features, queries=features.raw_queries, keys=features.raw_keys)
    gold = gold_of(Example(0, features.raw_queries, features.raw_keys, features.valid), 1.5).support
    assert torch.equal(support_of(raw, 1.5), gold)


@pytest.mark.parametrize("alpha", ALPHAS)
def test_keys_that_may_not_be_seen_take_nothing_from_the_others(alpha, make_features):
    features = scaled(make_features("causal"), 30.0)
    keys = features.keys.clone()
    keys[:, 5:] = 1e4 * features.queries[:, 5:]
    support = support_of(features, alpha)
    assert torch.equal(support_of(dataclasses.replace(features, keys=keys), alpha)[:, :5], support[:, :5])
    assert torch.equal(support[:, 0], features.valid[0].expand(3, -1))
    everything = dataclasses.replace(features, pairs=torch.ones_like(features.valid))
    assert not torch.equal(support_of(everything, alpha) & features.valid, support)


@pytest.mark.parametrize("factor", [0.3, 3.0, 30.0])
def test_supports_shrink_as_alpha_grows(factor, make_features):
    """Each term `(βd)^(1/β)` of a sum below 1 grows with β = alpha - 1: its logarithm's slope is (1 - ln βd) / β²."""
    features = scaled(make_features("long", dim=4), factor)
    supports = [support_of(features, 1 + step / 20) for step in range(1, 21)]
    for smaller, larger in pairwise(supports):
        assert not (larger & ~smaller).any()
    assert supports[0].sum() > supports[-1].sum()


@pytest.mark.parametrize("alpha", ALPHAS)
def test_extreme_scores(alpha, make_features):
    features = make_features("causal")
    flat = dataclasses.replace(features, queries=torch.zeros_like(features.queries))
    assert torch.equal(support_of(flat, alpha), features.valid.expand(features.shape))
    scores = (features.queries.double() @ features.keys.double().transpose(1, 2)).masked_fill(
        ~features.valid, -math.inf
    )
    best = scores == scores.amax(-1, keepdim=True)
    for factor in (1e8, 1e30):
        assert torch.equal(support_of(scaled(features, factor), alpha), best)


def test_a_query_without_valid_keys_keeps_none(make_features):
    features = make_features("square")
    valid = features.valid.clone()
    valid[4] = False
    support = support_of(dataclasses.replace(features, pairs=valid), 1.5)
    assert not support[:, 4].any()
    assert support[:, :4].any(-1).all()


@pytest.mark.parametrize("alpha", ALPHAS)
def test_heads_do_not_depend_on_those_given_with_them(alpha, make_features):
    features = scaled(make_features("long", heads=5, dim=4), 3.0)
    whole = support_of(features, alpha)
    for head in range(5):
        assert torch.equal(support_of(features.part(slice(head, head + 1)), alpha), whole[head : head + 1])


def test_the_schema_takes_sparse_alphas_only():
    schema = LowDimEntmax.parameters["alpha"]
    for value in (1.01, 1.5, 2):
        jsonschema.validate(value, schema)
    for value in (1, 0.5, 2.1, "1.5"):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(value, schema)


def test_powers_make_it_dearer_and_masked_pairs_cheaper(make_features):
    predictor, square, causal = LowDimEntmax(Context()), make_features("square", dim=4), make_features("causal", dim=4)
    assert predictor.cost(square, alpha=2) == 81 * (4 + 1 + 6 * 4)
    assert predictor.cost(square, alpha=1.5) == predictor.cost(square, alpha=2)
    assert predictor.cost(square, alpha=1.3) == 81 * (4 + 1 + 6 * 12)
    assert predictor.cost(causal, alpha=2) == 45 * (4 + 1 + 6 * 4)
