"""Pages of keys against plain definitions: bounds, moments, the expected threshold, and what a query may see."""

from __future__ import annotations

import dataclasses
import math
from statistics import NormalDist

import pytest
import torch

from covering import all_pairs
from examples import EXAMPLES
from sparse_attention.attention.entmax import probabilities
from sparse_attention.predictors.base import Context
from sparse_attention.predictors.bounds import Oracle
from sparse_attention.predictors.pages import (
    GaussianPages,
    PageBounds,
    expected_threshold,
    single_gaussian,
    truncated_moments,
)


def visible(features, query, size):
    """Each page's keys that a query may attend to, pages without one left out."""
    pages = {}
    for j in features.valid[query].nonzero().flatten().tolist():
        pages.setdefault(j // size, []).append(j)
    return pages


def with_vectors(features, queries, keys):
    return dataclasses.replace(features, raw_queries=queries, raw_keys=keys)


def without_a_row(features, row):
    valid = features.valid.clone()
    valid[row] = False
    return dataclasses.replace(features, pairs=valid)


# --- bounds ---


@all_pairs(size=[1, 2, 3, 4, 100], pages=[1, 2, 100], features=EXAMPLES, indirect=["features"])
def test_quest_takes_the_pages_of_highest_bound_and_of_equals_the_first(pages, size, features, by_definition):
    chosen = {}
    for head in range(3):
        queries, keys = features.raw_queries[head].double(), features.raw_keys[head].double()
        for i in range(features.shape[1]):
            bounds = {}
            for page, members in visible(features, i, size).items():
                high, low = keys[members].max(0).values, keys[members].min(0).values
                bounds[page] = torch.maximum(queries[i] * high, queries[i] * low).sum().item()
            chosen[head, i] = set(sorted(bounds, key=lambda page: (-bounds[page], page))[:pages])
    support = PageBounds(Context()).support(features, page=size, pages=pages)
    assert torch.equal(support, by_definition(features, lambda h, i, j: j // size in chosen[h, i]))


def test_quest_with_pages_of_one_key_is_the_oracle(make_features):
    features = make_features("causal", seed=3)
    support = PageBounds(Context()).support(features, page=1, pages=3)
    assert torch.equal(support, Oracle(Context()).support(features, keys=3))


def test_quest_prefers_a_page_of_opposites_to_one_with_the_best_key(make_features):
    keys = torch.zeros(1, 4, 2)
    keys[0] = torch.tensor([[1.0, 1.0], [1.0, 1.0], [1.5, -9.0], [-9.0, 1.5]])
    features = make_features("square", heads=1)
    features = dataclasses.replace(
        features, raw_queries=torch.ones(1, 1, 2), raw_keys=keys, pairs=torch.ones(1, 4, dtype=torch.bool)
    )
    # the scores are 2, 2, -7.5, -7.5, the bounds 2 and 3
    assert PageBounds(Context()).support(features, page=2, pages=1)[0, 0].tolist() == [False, False, True, True]


@pytest.mark.parametrize(
    "predictor, point",
    [
        (PageBounds, {"pages": 1}),
        (GaussianPages, {"alpha": 1.5, "mixture": True, "probability": 0.3}),
        (GaussianPages, {"alpha": 1.5, "mixture": False, "probability": 0.3}),
    ],
    ids=["quest", "mixture", "single"],
)
def test_a_key_that_may_not_be_seen_does_not_make_its_page_attractive(predictor, point, make_features):
    features = make_features("causal")
    queries, keys = torch.zeros(3, 9, 5), torch.zeros(3, 9, 5)
    queries[..., 0], keys[:, 1, 0] = 1, 20
    future = keys.clone()
    # query 6 sees key 6, not 7: the page of both must not profit from key 7
    future[:, 7, 0] = 1000
    plain, tempting = (
        predictor(Context()).predict(with_vectors(features, queries, k), page=2, **point) for k in (keys, future)
    )
    assert torch.equal(tempting[:, :7], plain[:, :7])
    assert plain[:, 6, 0:2].all() and not plain[:, 6, 2:].any()
    assert not torch.equal(tempting[:, 7], plain[:, 7])


@pytest.mark.parametrize("predictor", [PageBounds, GaussianPages], ids=["quest", "gaussian"])
def test_pages_out_of_sight_are_never_chosen_even_before_invalid_pairs_are_removed(predictor, make_features):
    features = without_a_row(make_features("causal", seed=1), 5)
    point = {"pages": 9} if predictor is PageBounds else {"alpha": 2, "mixture": False, "probability": 1e-9}
    chosen = predictor(Context()).predict(features, page=3, **point)
    in_sight = torch.zeros(9, 9, dtype=torch.bool)
    for i in set(range(9)) - {5}:
        in_sight[i, : 3 * (i // 3 + 1)] = True
    assert not (chosen & ~in_sight).any()
    assert chosen[:, 4].any() and not chosen[:, 5].any()


# --- moments and threshold ---


def integral(function, mean, deviation):
    """E[function(Y)] of a Gaussian by the trapezoid rule."""
    y = torch.linspace(mean - 12 * deviation, mean + 12 * deviation, 200_001, dtype=torch.float64)
    density = torch.exp(-0.5 * ((y - mean) / deviation) ** 2) / (deviation * math.sqrt(2 * math.pi))
    return torch.trapezoid(function(y) * density, y).item()


@pytest.mark.parametrize("k", [1, 2, 3, 4])
@pytest.mark.parametrize("mean, deviation", [(0.0, 1.0), (2.0, 0.5), (-1.5, 1.0), (-0.2, 3.0), (5.0, 0.01)])
def test_truncated_moments_equal_their_integrals(mean, deviation, k):
    found = truncated_moments(*(torch.tensor(x, dtype=torch.float64) for x in (mean, deviation)), k)
    lower = integral(lambda y: (y > 0) * y.clamp(min=0) ** (k - 1), mean, deviation)
    upper = integral(lambda y: y.clamp(min=0) ** k, mean, deviation)
    assert [x.item() for x in found] == pytest.approx([lower, upper], rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("alpha", [1.25, 1.5, 2])
@pytest.mark.parametrize("scale", [0.01, 1.0, 30.0], ids=["flat", "usual", "steep"])
def test_at_the_threshold_the_expected_probabilities_sum_to_one(alpha, scale):
    generator = torch.Generator().manual_seed(0)
    mean = scale * torch.randn(2, 3, 4, generator=generator, dtype=torch.float64)
    deviation = scale * torch.rand(2, 3, 4, generator=generator, dtype=torch.float64)
    seen = torch.tensor([[8, 8, 8, 3], [8, 5, 0, 0], [1, 0, 0, 0]])
    tau = expected_threshold(mean, deviation, seen, alpha)
    for head in range(2):
        for i in range(3):
            t = tau[head, i].item()
            total = sum(
                seen[i, p].item()
                * integral(
                    lambda y, t=t: (y - t).clamp(min=0) ** (1 / (alpha - 1)), mean[head, i, p], deviation[head, i, p]
                )
                for p in range(4)
                if seen[i, p]
            )
            assert total == pytest.approx(1, abs=2e-3)


def test_a_single_gaussian_has_the_mean_and_variance_of_all_scores(make_features):
    scores = torch.randn(1, 1, 10, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    parts, seen = [scores[..., :4], scores[..., 4:8], scores[..., 8:]], torch.tensor([[4, 4, 2]])
    mean = torch.stack([part.mean(-1) for part in parts], -1)
    deviation = torch.stack([part.std(-1, correction=0) for part in parts], -1)
    found = single_gaussian(mean, deviation, seen)
    expected = [scores.mean().item(), scores.std(correction=0).item(), 10]
    assert [x.item() for x in found] == pytest.approx(expected, rel=1e-12)


# --- Gaussian pages ---


def threshold_by_bisection(gaussians, low, high):
    """The threshold for alpha 1.5: Σ n E[max(0, Y - τ)²] = 1."""

    def total(tau):
        result = 0.0
        for mean, deviation, count in gaussians:
            m = mean - tau
            if deviation == 0:
                result += count * max(0.0, m) ** 2
                continue
            normal = NormalDist()
            ratio = m / deviation
            result += count * ((m * m + deviation**2) * normal.cdf(ratio) + m * deviation * normal.pdf(ratio))
        return result

    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if total(middle) > 1 else (low, middle)
    return low


def chances(features, head, query, size, mixture):
    """Each visible page's chance to hold a key of the entmax-1.5 support, in plain Python."""
    q = (features.raw_queries[head, query].double() / (2 * math.sqrt(features.raw_queries.shape[-1]))).tolist()
    gaussians = {}
    for page, members in visible(features, query, size).items():
        keys = features.raw_keys[head, members].double()
        mean, variance = keys.mean(0).tolist(), keys.var(0, correction=0).tolist()
        m = sum(a * b for a, b in zip(q, mean, strict=True))
        gaussians[page] = (m, math.sqrt(sum(a * a * b for a, b in zip(q, variance, strict=True))), len(members))
    n = sum(count for _, _, count in gaussians.values())
    middle = sum(m * count for m, _, count in gaussians.values()) / n
    spread = math.sqrt(sum((s * s + (m - middle) ** 2) * count for m, s, count in gaussians.values()) / n)
    solved = list(gaussians.values()) if mixture else [(middle, spread, n)]
    tau = threshold_by_bisection(solved, -1e6, 1e6)
    result = {}
    for page, (m, s, count) in gaussians.items():
        below = NormalDist().cdf((tau - m) / s) if s > 1e-12 else float(m <= tau)
        result[page] = 1 - below**count
    return result


@all_pairs(
    shape=["square", "causal", "fewer-queries", "fewer-keys", "local"],
    size=[2, 3, 5],
    mixture={"mixture": True, "single": False},
    scale={"flat": 1e-3, "usual": 1, "steep": 1e3},
)
def test_gaussian_pages_keep_what_is_likely_to_hold_support(shape, size, mixture, scale, make_features, by_definition):
    features = make_features(shape, seed=5)
    features = with_vectors(features, scale * features.raw_queries, features.raw_keys)
    found = {(h, i): chances(features, h, i, size, mixture) for h in range(3) for i in range(features.shape[1])}
    # none so near to a probability that rounding decides
    grid = [
        p for p in (0.01, 0.1, 0.4, 0.7, 0.95) if all(abs(c - p) > 1e-4 for f in found.values() for c in f.values())
    ]
    assert len(grid) >= 3
    for p in grid:
        likely = {place: {page for page, chance in pages.items() if chance >= p} for place, pages in found.items()}
        expected = by_definition(features, lambda h, i, j, likely=likely: j // size in likely[h, i])
        support = GaussianPages(Context()).support(features, page=size, alpha=1.5, mixture=mixture, probability=p)
        assert torch.equal(support, expected)


@all_pairs(alpha=[1.25, 1.5, 2], probability=[0.01, 0.5, 0.99], features=EXAMPLES, indirect=["features"])
def test_a_mixture_over_pages_of_one_key_gives_the_exact_support(alpha, probability, features):
    features = dataclasses.replace(features, raw_queries=3 * features.raw_queries)
    scores = features.raw_queries.double() @ features.raw_keys.double().transpose(1, 2) / math.sqrt(5)
    gold = probabilities(scores, alpha, features.valid.expand(scores.shape)) > 0
    point = {"page": 1, "alpha": alpha, "mixture": True, "probability": probability}
    assert torch.equal(GaussianPages(Context()).support(features, **point), gold)


@pytest.mark.parametrize("mixture", [True, False], ids=["mixture", "single"])
def test_pages_kept_for_a_query_adapt_to_its_scores(mixture, make_features):
    features = make_features("longer", heads=1)
    queries, keys = torch.zeros(1, 24, 5), 0.3 * features.raw_keys
    keys[:, 8:12, 0] += 30
    # the first query finds one page far above the others, the second sees no difference at all
    queries[0, 0, 0] = 1
    features = with_vectors(features, queries, keys)
    support = GaussianPages(Context()).support(features, page=4, alpha=1.5, mixture=mixture, probability=0.5)
    assert support[0, 0].nonzero().flatten().tolist() == [8, 9, 10, 11]
    assert support[0, 1].all()


def test_costs_grow_with_the_pages_in_sight(make_features):
    full, causal = make_features("square"), make_features("causal")
    quest, gaussian = PageBounds(Context()), GaussianPages(Context())
    # 3 pages for each of 9 queries; under the causal mask 1, 1, 1, 2, 2, 2, 3, 3, 3
    assert [quest.cost(f, page=3, pages=1) for f in (full, causal)] == [90 + 27 * 11, 90 + 18 * 11]
    point = {"page": 3, "alpha": 1.5, "probability": 0.5}
    assert gaussian.cost(causal, mixture=True, **point) == 90 + 18 * (20 + 120)
    assert gaussian.cost(causal, mixture=False, **point) == 90 + 18 * (20 + 3) + 9 * 120
