"""K-means clusters: the intersection of the nearest clusters of query and key, in any run."""

from __future__ import annotations

import pytest
import torch

from sparse_attention.clusters import Centroids
from sparse_attention.errors import InputError
from sparse_attention.predictors.base import Context
from sparse_attention.predictors.clusters import KMeans


def centroids_of(layers, heads=3, runs=2, clusters=4, dim=2):
    generator = torch.Generator().manual_seed(1)
    shape = (heads, runs, clusters, dim)
    return Centroids(tuple(torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(layers)))


@pytest.mark.parametrize("top", [1, 2, 3, 4])
def test_pairs_share_one_of_their_nearest_clusters_in_any_run(top, features, by_definition):
    centroids = centroids_of(layers=2)
    points = centroids.layer(features.layer).tolist()

    def nearest(h, run, vector):
        distances = [sum((x - c) ** 2 for x, c in zip(vector, centre, strict=True)) for centre in points[h][run]]
        return set(sorted(range(4), key=lambda c: (distances[c], c))[:top])

    q, k = features.queries.double().tolist(), features.keys.double().tolist()

    def rule(h, i, j):
        return any(nearest(h, run, q[h][i]) & nearest(h, run, k[h][j]) for run in range(2))

    predictor = KMeans(Context(0, {"clusters": 4, "runs": 2}, centroids))
    (support,) = predictor.supports(features, [{"top": top}])
    assert torch.equal(support, by_definition(features, rule))


def test_two_clusters_with_top_two_are_the_complete_graph(features):
    predictor = KMeans(Context(0, {}, centroids_of(layers=2, clusters=2)))
    (support,) = predictor.supports(features, [{"top": 2}])
    assert torch.equal(support, features.valid.expand(features.shape))


@pytest.mark.parametrize("wrong", [{"heads": 2}, {"dim": 3}])
def test_centroids_of_another_shape_are_refused(wrong, make_features):
    predictor = KMeans(Context(0, {}, centroids_of(layers=2, **wrong)))
    with pytest.raises(InputError, match=r"centroids: . heads of dimension . in layer 1; allowed: 3 of dimension 2"):
        list(predictor.supports(make_features("square"), [{"top": 1}]))


def test_missing_centroids_are_told():
    with pytest.raises(InputError, match="no centroids"):
        KMeans(Context())


def test_more_nearest_clusters_than_there_are_is_refused(make_features):
    predictor = KMeans(Context(0, {}, centroids_of(layers=2)))
    with pytest.raises(InputError, match="top: 5; allowed: 1 to the 4 clusters"):
        list(predictor.supports(make_features("square"), [{"top": 5}]))
