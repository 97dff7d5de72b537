"""Routing Transformer: what a cluster takes, who belongs to it, and where its centroid comes from."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from sparse_attention.clusters.centroids import Centroids
from sparse_attention.errors import InputError
from sparse_attention.predictors import routing
from sparse_attention.predictors.base import Context
from sparse_attention.predictors.routing import KMeansRouting, Routing, TrainedRouting

MEMBERSHIP = ("first", "all")


def centroids_of(heads=3, runs=2, clusters=4, dim=2, layers=2):
    generator = torch.Generator().manual_seed(1)
    shape = (heads, runs, clusters, dim)
    return Centroids(tuple(torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(layers)))


def unit(vector):
    length = math.sqrt(sum(x * x for x in vector))
    return [x / length for x in vector] if length else vector


def plain_memberships(vectors, centroids, membership):
    """The set of clusters of each vector, in loops."""
    size = len(vectors) // len(centroids) + 1
    vectors = [unit(vector) for vector in vectors]
    taken = []
    for centroid in centroids:
        similar = [sum(x * c for x, c in zip(vector, centroid, strict=True)) for vector in vectors]
        taken.append(sorted(range(len(vectors)), key=lambda i: (-similar[i], i))[:size])
    found = [[number for number, members in enumerate(taken) if i in members] for i in range(len(vectors))]
    return [set(numbers[:1] if membership == "first" else numbers) for numbers in found]


def plain_rule(features, centroids, membership):
    sides = {}
    for head in range(features.shape[0]):
        for run, points in enumerate(centroids[head].tolist()):
            for side, vectors in (("q", features.queries), ("k", features.keys)):
                sides[side, head, run] = plain_memberships(vectors[head].double().tolist(), points, membership)
    runs = range(centroids.shape[1])
    return lambda h, i, j: any(sides["q", h, run][i] & sides["k", h, run][j] for run in runs)


def rounding_free(features):
    """Vectors whose similarities to whole centroids are exact: ties are ties in loops and in tensors."""
    vectors = {name: getattr(features, name).round().sign() for name in ("queries", "keys")}
    for name in vectors:
        vectors[name][..., 1:] = 0  # unit vectors or zero
    return dataclasses.replace(features, **vectors)


@pytest.mark.parametrize("membership", MEMBERSHIP)
@pytest.mark.parametrize("clusters", [2, 4, 20])
def test_pairs_were_taken_by_the_same_cluster_in_any_run(clusters, membership, make_features, by_definition):
    for shape in ("square", "causal", "fewer-queries", "fewer-keys", "one-token", "longer"):
        features, centroids = make_features(shape), centroids_of(clusters=clusters)
        predictor = KMeansRouting(Context(0, {"clusters": clusters, "runs": 2}, centroids))
        rule = plain_rule(features, centroids.layer(1), membership)
        assert torch.equal(predictor.support(features, membership=membership), by_definition(features, rule)), shape


@pytest.mark.parametrize("membership", MEMBERSHIP)
def test_of_equally_similar_vectors_the_first_are_taken(membership, make_features, by_definition):
    features = rounding_free(make_features("longer", tied=True))
    centroids = Centroids((centroids_of().layer(0).sign(),) * 2)
    predictor = KMeansRouting(Context(0, {}, centroids))
    rule = plain_rule(features, centroids.layer(1), membership)
    assert torch.equal(predictor.support(features, membership=membership), by_definition(features, rule))


def worked_example(make_features):
    """Centroids to the right and upwards; each takes 3 of 5 queries and 2 of 3 keys."""
    to_right_and_up = Centroids((torch.tensor([[[[2.0, 0.0], [0.0, 0.5]]]], dtype=torch.float64),))
    queries = torch.tensor([[[1.0, 0.0], [9.0, 9.0], [0.0, 1.0], [-1.0, -1.0], [1.0, 5.0]]])
    keys = torch.tensor([[[3.0, 1.0], [1.0, 3.0], [-1.0, 0.0]]])
    features = make_features("one-token", heads=1, layer=0)
    features = dataclasses.replace(
        features,
        queries=queries,
        keys=keys,
        raw_queries=queries,
        raw_keys=keys,
        pairs=torch.ones(5, 3, dtype=torch.bool),
    )
    return KMeansRouting(Context(0, {}, to_right_and_up)), features


def test_a_worked_example(make_features):
    predictor, features = worked_example(make_features)
    # to the right: queries 0, 1 and 4, keys 0 and 1; upwards: queries 2, 4 and 1, keys 1 and 0; query 3, key 2: no one
    both = predictor.support(features, membership="all")[0].int().tolist()
    assert both == [[1, 1, 0], [1, 1, 0], [1, 1, 0], [0, 0, 0], [1, 1, 0]]
    # of the first cluster only: queries 0, 1 and 4 and both keys; query 2 is alone in the second
    first = predictor.support(features, membership="first")[0].int().tolist()
    assert first == [[1, 1, 0], [1, 1, 0], [0, 0, 0], [0, 0, 0], [1, 1, 0]]


def test_a_pair_is_computed_in_every_cluster_that_took_it(make_features):
    predictor, features = worked_example(make_features)
    both, first = (
        predictor.buckets(predictor.prepare(features), membership).support(features.valid)
        for membership in ("all", "first")
    )
    assert both.operations.tolist() == [2 * 3 * 2]
    assert first.operations.tolist() == [3 * 2]


def test_each_cluster_takes_equally_many_and_first_only_leaves_some_out(make_features):
    features, predictor = make_features("long"), Routing(Context())
    for clusters in (2, 3, 7):
        buckets = predictor.buckets(predictor.prepare(features), clusters, "all")
        for lists in (buckets.queries, buckets.keys):
            for head in range(3):
                counts = [(lists[head] == cluster).sum() for cluster in range(clusters)]
                assert counts == [70 // clusters + 1] * clusters
        few, many = (predictor.support(features, clusters=clusters, membership=m) for m in MEMBERSHIP)
        assert not (few & ~many).any()
        assert few.sum() < many.sum()


def test_lengths_of_vectors_and_of_centroids_make_no_difference(make_features):
    features, centroids = make_features("long"), centroids_of()
    scaled = dataclasses.replace(features, queries=1e3 * features.queries, keys=features.keys / 64)
    longer = Centroids(tuple(layer * torch.tensor([1.0, 8.0, 64.0, 0.5])[:, None] for layer in centroids.layers))
    supports = [
        KMeansRouting(Context(0, {}, given)).support(of, membership="all")
        for given, of in ((centroids, features), (centroids, scaled), (longer, features))
    ]
    assert torch.equal(supports[0], supports[1])
    assert torch.equal(supports[0], supports[2])


@pytest.mark.parametrize("membership", MEMBERSHIP)
@pytest.mark.parametrize("shape", ["square", "causal", "fewer-queries", "fewer-keys", "one-token", "longer"])
def test_centroids_of_an_example_are_its_own(shape, membership, make_features, by_definition):
    features, predictor = make_features(shape), Routing(Context(5))
    vectors = torch.cat([normalize(x.double(), dim=-1) for x in (features.queries, features.keys)], dim=1)
    generators = (predictor.rng(features, head) for head in range(3))
    rule = plain_rule(features, routing.initial_centroids(vectors, 3, generators)[:, None], membership)
    support = predictor.support(features, clusters=3, membership=membership)
    assert torch.equal(support, by_definition(features, rule))


def plain_step(vectors, centroids):
    """One iteration of spherical k-means for one head, in loops."""
    sums = [[0.0] * len(centroids[0]) for _ in centroids]
    for vector in vectors:
        similar = [sum(x * c for x, c in zip(vector, centroid, strict=True)) for centroid in centroids]
        nearest = similar.index(max(similar))
        sums[nearest] = [s + x for s, x in zip(sums[nearest], vector, strict=True)]
    return [unit(total) if any(total) else centroid for total, centroid in zip(sums, centroids, strict=True)]


@pytest.mark.parametrize("clusters", [1, 2, 5, 30])
def test_an_iteration_moves_centroids_to_mean_directions(clusters):
    generator = torch.Generator().manual_seed(clusters)
    vectors = normalize(torch.randn(2, 20, 3, generator=generator, dtype=torch.float64), dim=-1)
    centroids = normalize(torch.randn(2, clusters, 3, generator=generator, dtype=torch.float64), dim=-1)
    expected = torch.tensor([plain_step(v, c) for v, c in zip(vectors.tolist(), centroids.tolist(), strict=True)])
    assert torch.allclose(routing.lloyd_step(vectors, centroids), expected.double(), atol=1e-6)


def test_a_centroid_stays_when_no_vector_is_near_or_those_near_cancel_out():
    sides = torch.tensor([[[1.0, 0.0], [-1.0, 0.0]]], dtype=torch.float64)
    upwards = torch.tensor([[[0.0, 1.0], [0.0, -1.0]]], dtype=torch.float64)
    # all similarities are 0, so that the first centroid has both vectors, which cancel out, and the second has none
    assert torch.equal(routing.lloyd_step(sides, upwards), upwards)
    # only the first centroid has a vector
    one = torch.tensor([[[0.0, 1.0]]], dtype=torch.float64)
    moved = routing.lloyd_step(one, torch.tensor([[[0.6, 0.8], [-1.0, 0.0]]], dtype=torch.float64))
    assert moved.tolist() == [[[0.0, 1.0], [-1.0, 0.0]]]


def test_initial_centroids_start_from_different_vectors_and_repeat_them_when_there_are_too_few(monkeypatch):
    monkeypatch.setattr(routing, "ITERATIONS", 0)
    vectors = normalize(torch.randn(2, 6, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64), dim=-1)

    def start(clusters):
        return routing.initial_centroids(vectors, clusters, (np.random.default_rng(head) for head in range(2)))

    def places(centroids, head):
        return [(vectors[head] == centroid).all(-1).nonzero().item() for centroid in centroids[head]]

    for head in range(2):
        assert len(set(places(start(5), head))) == 5
        counts = np.bincount(places(start(15), head), minlength=6)
        assert set(counts.tolist()) == {2, 3}
    assert places(start(6), 0) != places(start(6), 1)


@pytest.mark.parametrize("seed", range(8))
def test_opposite_groups_are_told_apart(seed, make_features):
    generator = torch.Generator().manual_seed(seed)
    side = torch.ones(70).index_fill(0, torch.randperm(70, generator=generator)[:35], -1)
    features = make_features("long", heads=1, dim=4)
    vectors = side[:, None] * torch.tensor([1.0, 2.0, 0.0, -1.0]) + 0.3 * torch.randn(70, 4, generator=generator)
    features = dataclasses.replace(features, queries=vectors[None], keys=vectors[None])
    kept = Routing(Context(seed)).support(features, clusters=2, membership="first")[0]
    together = side[:, None] == side
    # each cluster takes 36 vectors, so one from the other side
    assert (kept & together).sum() >= 0.94 * together.sum()
    assert (kept & ~together).sum() <= 0.06 * (~together).sum()


# trained


def training_of(make_features, examples, layer=1):
    return [
        (dataclasses.replace(make_features("longer", layer=layer, seed=seed), index=seed), None)
        for seed in range(examples)
    ]


def trained(training, clusters=4, seed=0):
    predictor = TrainedRouting(Context(seed, {"clusters": clusters}))
    predictor.fit(1, iter(training))
    return predictor


def learned_by(predictor, layer=1):
    return predictor.learned[layer]["clusters"]["centroids"]


def test_trained_centroids_are_a_running_mean_over_batches(make_features, monkeypatch):
    monkeypatch.setattr(routing, "EXAMPLES_AT_ONCE", 2)
    monkeypatch.setattr(routing, "DECAY", 0.75)
    training = training_of(make_features, 5)
    found = learned_by(trained(training))
    assert found.shape == (3, 1, 4, 2)

    def batch(examples):
        return torch.cat([normalize(side.double(), dim=-1) for f, _ in examples for side in (f.queries, f.keys)], dim=1)

    entropy = (0, routing.zlib.crc32(b"routing_trained"), 1)
    start = batch(training[:2])
    centroids = routing.initial_centroids(start, 4, (np.random.default_rng((*entropy, head)) for head in range(3)))
    for examples in (training[:2], training[2:4], training[4:]):
        vectors = batch(examples)
        moved = [plain_step(v, c) for v, c in zip(vectors.tolist(), centroids.tolist(), strict=True)]
        mixed = 0.75 * centroids + 0.25 * torch.tensor(moved, dtype=torch.float64)
        centroids = mixed / mixed.norm(dim=-1, keepdim=True)
    assert torch.allclose(found[:, 0], centroids, atol=1e-9)


@pytest.mark.parametrize("membership", MEMBERSHIP)
def test_trained_centroids_decide_what_is_kept(membership, make_features, by_definition):
    predictor = trained(training_of(make_features, 3))
    for shape in ("square", "causal", "fewer-keys", "longer"):
        features = make_features(shape, seed=7)
        rule = plain_rule(features, learned_by(predictor), membership)
        assert torch.equal(predictor.support(features, membership=membership), by_definition(features, rule))


def test_training_depends_on_seed_and_examples_and_layers_are_apart(make_features):
    training = training_of(make_features, 4)
    first = learned_by(trained(training))
    assert torch.equal(learned_by(trained(training)), first)
    assert not torch.equal(learned_by(trained(training, seed=1)), first)
    assert not torch.equal(learned_by(trained(training[:3])), first)
    predictor = trained(training)
    predictor.fit(2, training)
    assert not torch.equal(learned_by(predictor, layer=2), first)


def test_an_empty_train_split_is_told():
    with pytest.raises(InputError, match="routing_trained: the train split is empty"):
        trained([])


# centroids that are given, and costs


def test_missing_centroids_are_told():
    with pytest.raises(InputError, match="routing_kmeans: there are no centroids"):
        KMeansRouting(Context())


@pytest.mark.parametrize("wrong", [{"heads": 2}, {"dim": 3}])
def test_centroids_of_another_shape_are_refused(wrong, make_features):
    predictor = KMeansRouting(Context(0, {}, centroids_of(**wrong)))
    with pytest.raises(
        InputError, match=r"centroids: . heads of dimension . in layer 1; allowed: 3 heads of dimension 2"
    ):
        predictor.support(make_features("square"), membership="all")


def test_making_centroids_costs_and_having_them_does_not(make_features):
    features = make_features("fewer-keys")
    # 11 and 4 vectors of 2 numbers: their lengths, 8 similarities, and sorting, at 4 and 3 comparisons a vector
    choosing = 11 * (4 + 8 * (2 + 4)) + 4 * (4 + 8 * (2 + 3))
    assert KMeansRouting(Context(0, {}, centroids_of())).cost(features, membership="all") == choosing
    assert TrainedRouting(Context(0, {"clusters": 8})).cost(features, membership="all") == choosing
    iteration = 15 * (8 * (2 + 1) + 2) + 2 * 8 * 2
    assert Routing(Context()).cost(features, clusters=8, membership="all") == choosing + 10 * iteration
