"""A sweep gives for every predictor, point, window and kept tokens what evaluating that point by itself gives."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from covering import all_pairs
from points import GRIDS, points
from sparse_attention.attention.masks import keep_mask, window_mask
from sparse_attention.clusters.centroids import Centroids
from sparse_attention.evaluation.sweep import METRICS, Sweep
from sparse_attention.predictors.base import Context
from sparse_attention.predictors.registry import create, discover
from sparse_attention.qk.gold import gold_of
from sparse_attention.qk.store import Example

WINDOWS, KEEP = (3, 0, 7), ("cls+last", "none")


def directly(predictor, features, gold, point, window, keep):
    """Metrics of one point `(METRICS but the computation sparsity, heads)` from dense masks."""
    attention, valid = gold.dense().double().numpy(), features.valid.numpy()
    support = attention > 0
    shape = features.shape[1:]
    extra = window_mask(*shape, window) | keep_mask(*shape, keep)
    kept = ((predictor.support(features, **point) | extra) & features.valid).numpy()
    edges, pairs = kept.sum((1, 2)), support.sum((1, 2))
    hits = (kept & support).sum((1, 2))
    values = {
        "sparsity": 1 - edges / valid.sum(),
        "gold_sparsity": 1 - pairs / valid.sum(),
        "recall": hits / pairs,
        "best_recall": np.minimum(edges / pairs, 1),
        "mass_recall": (attention * kept).sum((1, 2)) / attention.sum((1, 2)),
        "precision": np.where(edges > 0, hits / np.maximum(edges, 1), 1),
        "exactness": (~(support & ~kept).any(-1)).mean(-1),
        "edges": edges,
    }
    return np.stack([values[name] for name in METRICS if name in values])


EXAMPLES = {
    "longer": ("longer", False),
    "causal-tied": ("causal", True),
    "fewer-queries": ("fewer-queries", False),
    "local-tied": ("local", True),
}


@all_pairs(
    name=sorted(GRIDS),
    example=EXAMPLES,
    # tied hashing needs as many queries as keys
    allowed=lambda name, example: name != "reformer" or example[0] != "fewer-queries",
)
def test_a_sweep_equals_point_by_point(name, example, make_features):
    shape, tied = example
    features = make_features(shape, tied=tied)
    gold = gold_of(Example(0, features.raw_queries, features.raw_keys, features.valid), 1.5)
    centroids = torch.randn(3, 2, 5, 2, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    predictor = create(name, Context(5, GRIDS[name][0], Centroids((centroids,) * 2)))
    if discover()[name].fits:
        predictor.fit(features.layer, [(features, gold)])
    grid = points(name)
    metrics, _ = Sweep(predictor, grid, WINDOWS, KEEP).measure(features, gold)
    compared = [row for row, metric in enumerate(METRICS) if metric != "computation_sparsity"]
    extras = [(window, keep) for window in WINDOWS for keep in KEEP]
    for place, point in enumerate(grid):
        for extra, (window, keep) in enumerate(extras):
            expected = directly(predictor, features, gold, point, window, keep)
            np.testing.assert_allclose(metrics[0, place, compared, extra], expected, atol=1e-10, err_msg=f"{point}")


@pytest.mark.parametrize("name", ["cos", "l2", "euclidean", "min"])
def test_a_pair_exactly_at_the_threshold_is_left_out_by_both(name, make_features):
    features = make_features("square", tied=True)
    predictor = create(name, Context())
    distances = predictor.distances(predictor.prepare(features))
    thresholds = sorted({float(d) for d in distances.unique() if d > 0})[:20]
    gold = gold_of(Example(0, features.raw_queries, features.raw_keys, features.valid), 1.5)
    metrics, _ = Sweep(predictor, [{"threshold": t} for t in thresholds], (0,), ("none",)).measure(features, gold)
    for place, threshold in enumerate(thresholds):
        below = (distances < threshold).sum((1, 2)).numpy()
        assert metrics[0, place, METRICS.index("edges"), 0].tolist() == below.tolist()


def test_an_example_does_not_depend_on_the_others(make_features):
    predictor = create("l2", Context())
    sweep = Sweep(predictor, points("cos")[:2], (0, 3), ("none",))
    features = [make_features(shape, seed=seed) for seed, shape in enumerate(("square", "longer", "square"))]
    golds = [gold_of(Example(0, f.raw_queries, f.raw_keys, f.valid), 1.5) for f in features]
    forwards = [sweep.measure(f, g)[0] for f, g in zip(features, golds, strict=True)]
    backwards = [sweep.measure(f, g)[0] for f, g in zip(features[::-1], golds[::-1], strict=True)]
    for one, other in zip(forwards, backwards[::-1], strict=True):
        np.testing.assert_array_equal(one, other)


def test_permuting_heads_permutes_the_measures(make_features):
    features, order = make_features("causal"), [2, 0, 1]
    names = ("queries", "keys", "raw_queries", "raw_keys")
    permuted = dataclasses.replace(features, **{name: getattr(features, name)[order] for name in names})
    results = []
    for each in (features, permuted):
        gold = gold_of(Example(0, each.raw_queries, each.raw_keys, each.valid), 1.5)
        results.append(Sweep(create("fixed", Context()), points("fixed"), WINDOWS, KEEP).measure(each, gold)[0])
    np.testing.assert_array_equal(results[1], results[0][..., order])
