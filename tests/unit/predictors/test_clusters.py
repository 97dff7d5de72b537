"""K-means clusters: the intersection of the nearest clusters of query and key, in any run."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from covering import all_pairs
from examples import EXAMPLES
from sparse_attention.clusters.centroids import Centroids
from sparse_attention.errors import InputError
from sparse_attention.predictors.base import Context
from sparse_attention.predictors.clusters import KMeans


def centroids_of(layers, heads=3, runs=2, clusters=4, dim=2):
    generator = torch.Generator().manual_seed(1)
    shape = (heads, runs, clusters, dim)
    return Centroids(tuple(torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(layers)))


@all_pairs(top=[1, 2, 3, 4], runs=[1, 3], features=EXAMPLES, indirect=["features"])
def test_pairs_share_one_of_their_nearest_clusters_in_any_run(runs, top, features, by_definition):
    centroids = centroids_of(layers=2, runs=runs)
    points = centroids.layer(features.layer).tolist()

    def nearest(h, run, vector):
        distances = [sum((x - c) ** 2 for x, c in zip(vector, centre, strict=True)) for centre in points[h][run]]
        return set(sorted(range(4), key=lambda c: (distances[c], c))[:top])

    q, k = features.queries.double().tolist(), features.keys.double().tolist()

    def rule(h, i, j):
        return any(nearest(h, run, q[h][i]) & nearest(h, run, k[h][j]) for run in range(runs))

    predictor = KMeans(Context(0, {"clusters": 4, "runs": runs}, centroids))
    support = predictor.support(features, top=top)
    assert torch.equal(support, by_definition(features, rule))


def test_two_clusters_with_top_two_are_the_complete_graph(features):
    predictor = KMeans(Context(0, {}, centroids_of(layers=2, clusters=2)))
    support = predictor.support(features, top=2)
    assert torch.equal(support, features.valid.expand(features.shape))


@pytest.mark.parametrize("wrong", [{"heads": 2}, {"dim": 3}])
def test_centroids_of_another_shape_are_refused(wrong, make_features):
    predictor = KMeans(Context(0, {}, centroids_of(layers=2, **wrong)))
    with pytest.raises(
        InputError, match=r"centroids: . heads of dimension . in layer 1; allowed: 3 heads of dimension 2"
    ):
        predictor.support(make_features("square"), top=1)


def test_missing_centroids_are_told():
    with pytest.raises(InputError, match="no centroids"):
        KMeans(Context())


def test_more_nearest_clusters_than_there_are_is_refused(make_features):
    predictor = KMeans(Context(0, {}, centroids_of(layers=2)))
    with pytest.raises(InputError, match="top: 5; allowed: 1 to the 4 clusters"):
        predictor.support(make_features("square"), top=5)


def test_second_nearest_of_the_one_meets_nearest_of_the_other(make_features):
    # on a line with centres at 0, 10 and 30: the query's nearest two are 10 and 0, the key's 30 and 10
    line = Centroids((torch.tensor([[[[0.0], [10.0], [30.0]]]], dtype=torch.float64),))
    features = make_features("one-token", heads=1, dim=1, layer=0)
    features = dataclasses.replace(features, queries=torch.tensor([[[9.0]]]), keys=torch.tensor([[[25.0]]]))
    predictor = KMeans(Context(0, {}, line))
    assert not predictor.support(features, top=1).any()
    assert predictor.support(features, top=2).all()


def test_a_pair_is_computed_in_every_cluster_that_it_shares(make_features):
    features = make_features("causal")
    predictor = KMeans(Context(0, {}, centroids_of(layers=2, runs=3)))
    buckets = predictor.buckets(features, top=2)
    queries, keys = (set_lists.flatten(2).tolist() for set_lists in (buckets.queries, buckets.keys))
    meetings = [
        sum(len(set(queries[h][i]) & set(keys[h][j])) for i in range(9) for j in range(9) if features.valid[i, j])
        for h in range(3)
    ]
    assert buckets.support(features.valid).operations.tolist() == meetings


def test_heads_keep_their_own_centroids_when_given_apart(make_features):
    features = make_features("square")
    predictor = KMeans(Context(0, {}, centroids_of(layers=2)))
    whole = predictor.support(features, top=1)
    assert torch.equal(predictor.support(features.part(slice(2, 3)), top=1), whole[2:])


def test_the_cost_is_a_distance_and_comparisons_per_vector_and_centroid(make_features):
    predictor = KMeans(Context(0, {}, centroids_of(layers=2, runs=3)))
    assert predictor.cost(make_features("fewer-keys"), top=2) == (11 + 4) * 3 * 4 * (2 + 2)
