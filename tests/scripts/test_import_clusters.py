from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

import import_clusters
from sparse_attention.clusters import Centroids
from sparse_attention.errors import InputError
from sparse_attention.projections import Projections, ProjectionSetting, initial_weights

HEADS, RUNS, CLUSTERS = 3, 2, 4


@pytest.fixture
def projections(tmp_path):
    weights = initial_weights(ProjectionSetting("linear", 2, True), HEADS, 6, torch.Generator().manual_seed(0))
    Projections.of([(weights, weights)] * 2).save(tmp_path / "p.safetensors")
    return str(tmp_path / "p.safetensors")


def make(layers=2, heads=HEADS, runs=RUNS, clusters=CLUSTERS, dim=2):
    generator = torch.Generator().manual_seed(0)
    return Centroids(
        tuple(torch.randn(heads, runs, clusters, dim, generator=generator).double() for _ in range(layers))
    )


def take(stores, folder, source, projections):
    import_clusters.main(
        SimpleNamespace(
            input=SimpleNamespace(source=str(source), qk_train=str(stores / "qk" / "train"), projections=projections),
            output=SimpleNamespace(clusters=str(folder / "c.safetensors")),
            params=SimpleNamespace(setting={"clusters": CLUSTERS, "runs": RUNS}),
        )
    )
    return Centroids.load(folder / "c.safetensors")


@pytest.mark.parametrize("projected", [True, False], ids=["projected", "not projected"])
@pytest.mark.parametrize("theirs", [True, False], ids=["original file", "our file"])
def test_both_formats_come_in_unchanged(small_stores, tmp_path, projections, projected, theirs):
    centroids, source = make(dim=2 if projected else 6), tmp_path / "mine.pickle"
    centroids.save_original(source) if theirs else centroids.save(source)
    taken = take(small_stores, tmp_path, source, projections if projected else [])
    assert all(torch.equal(a, b) for a, b in zip(taken.layers, centroids.layers, strict=True))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layers": 1}, "layers is 1, must be 2"),
        ({"heads": 1}, "heads is 1, must be 3"),
        ({"runs": 1}, "runs is 1, must be 2"),
        ({"clusters": 8}, "clusters is 8, must be 4"),
        ({"dim": 6}, "dim is 6, must be 2"),
    ],
    ids=str,
)
def test_centroids_of_something_else_are_refused_and_nothing_is_written(
    small_stores, tmp_path, projections, changes, message
):
    make(**changes).save_original(tmp_path / "mine.pickle")
    with pytest.raises(InputError, match=message) as caught:
        take(small_stores, tmp_path, tmp_path / "mine.pickle", projections)
    assert "fit_clusters.source" in str(caught.value) and "mine.pickle" in str(caught.value)
    assert not (tmp_path / "c.safetensors").exists()


def test_a_pickle_of_scikit_learn_objects_is_refused(small_stores, tmp_path, projections):
    import pickle

    from sklearn.cluster import KMeans

    (tmp_path / "kmeans.pickle").write_bytes(pickle.dumps([KMeans(4)]))
    with pytest.raises(InputError, match=r"kmeans\.pickle"):
        take(small_stores, tmp_path, tmp_path / "kmeans.pickle", projections)
