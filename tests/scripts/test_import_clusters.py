from __future__ import annotations

import pickle
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans

import import_clusters
from receipts import receipt_of
from sparse_attention.clusters.centroids import Centroids
from sparse_attention.errors import InputError
from sparse_attention.projections.model import Projections
from sparse_attention.projections.weights import ProjectionSetting, initial_weights

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


def take(shape, folder, source, projections, block_size=1):
    receipt = receipt_of(source, folder, "clusters")
    import_clusters.main(
        SimpleNamespace(
            input=SimpleNamespace(
                source=receipt,
                shape=str(shape),
                projections=projections,
            ),
            output=SimpleNamespace(clusters=str(folder / "c.safetensors"), imported=str(folder / "imported.json")),
            params=SimpleNamespace(setting={"clusters": CLUSTERS, "runs": RUNS}, block_size=block_size),
        )
    )
    return Centroids.load(folder / "c.safetensors")


@pytest.mark.parametrize("projected", [True, False], ids=["projected", "not projected"])
@pytest.mark.parametrize("theirs", [True, False], ids=["original file", "our file"])
def test_both_formats_come_in_unchanged(shaped, tmp_path, projections, projected, theirs):
    centroids, source = make(dim=2 if projected else 6), tmp_path / "mine.pickle"
    centroids.save_original(source) if theirs else centroids.save(source)
    taken = take(shaped, tmp_path, source, projections if projected else [])
    assert all(torch.equal(a, b) for a, b in zip(taken.layers, centroids.layers, strict=True))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layers": 1}, "layers is 1, must be 2, as in the .* in "),
        ({"heads": 1}, "heads is 1, must be 3"),
        ({"runs": 1}, "runs is 1, must be 2"),
        ({"clusters": 8}, "clusters is 8, must be 4"),
        ({"dim": 6}, "dim is 6, must be 2"),
    ],
    ids=str,
)
def test_centroids_of_something_else_are_refused_and_nothing_is_written(
    shaped, tmp_path, projections, changes, message
):
    make(**changes).save_original(tmp_path / "mine.pickle")
    with pytest.raises(InputError, match=message) as caught:
        take(shaped, tmp_path, tmp_path / "mine.pickle", projections)
    assert "fit_clusters.source" in str(caught.value) and "mine.pickle" in str(caught.value)
    assert not (tmp_path / "c.safetensors").exists()


def write_kmeans(folder, layer, clusters=CLUSTERS, dim=2, ending="shared"):
    """Pickle the lists over heads and runs of a layer under the originals' name; return the centroids."""
    points = np.random.default_rng(layer).normal(size=(HEADS, RUNS, 30, dim))
    fitted = [[KMeans(clusters, n_init=1, random_state=0).fit(points[head, run]) for run in range(RUNS)]
              for head in range(HEADS)]  # fmt: skip
    heads = []
    for runs in fitted:
        heads.append(MultiKmeans())
        heads[-1].rounds, heads[-1].kmeans = RUNS, runs
    name = f"q_enc-attn.pt_{dim}r_{clusters}s_{RUNS}n_{layer}l_{ending}.pickle"
    (folder / name).write_bytes(pickle.dumps(heads, protocol=pickle.HIGHEST_PROTOCOL))
    return np.stack([[run.cluster_centers_ for run in runs] for runs in fitted])


class MultiKmeans:
    """Has the name and the attributes of the originals' class."""


def test_the_originals_pickles_of_all_layers_come_in_from_a_folder(shaped, tmp_path, projections):
    (tmp_path / "kmeans").mkdir()
    expected = [write_kmeans(tmp_path / "kmeans", layer) for layer in range(2)]
    for layer in range(2):
        write_kmeans(tmp_path / "kmeans", layer, clusters=5)
        write_kmeans(tmp_path / "kmeans", layer, ending="indep")
    taken = take(shaped, tmp_path, tmp_path / "kmeans", projections)
    for layer, centroids in enumerate(expected):
        np.testing.assert_array_equal(taken.layer(layer), centroids)


def test_a_pickle_of_one_layer_is_too_few(shaped, tmp_path, projections):
    write_kmeans(tmp_path, 0)
    (path,) = tmp_path.glob("q_*.pickle")
    with pytest.raises(InputError, match="layers is 1, must be 2"):
        take(shaped, tmp_path, path, projections)


def test_centroids_of_blocks_come_in(shaped, tmp_path, projections):
    make(dim=8).save_original(tmp_path / "mine.pt")
    taken = take(shaped, tmp_path, tmp_path / "mine.pt", projections, block_size=4)
    assert torch.equal(taken.layer(1), make(dim=8).layer(1).float().double())
    with pytest.raises(InputError, match="dim is 8, must be 6"):
        take(shaped, tmp_path, tmp_path / "mine.pt", projections, block_size=3)


def test_a_pickle_that_calls_something_is_refused(shaped, tmp_path, projections):
    (tmp_path / "evil.pickle").write_bytes(b"\x80\x02cposix\nmkdir\nX\x03\x00\x00\x00ran\x85R.")
    with pytest.raises(InputError, match=r"evil\.pickle: holds posix\.mkdir; .*Nothing in it was run"):
        take(shaped, tmp_path, tmp_path / "evil.pickle", projections)
    assert not (tmp_path / "c.safetensors").exists()
