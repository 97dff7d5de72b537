from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

import fit_clusters
from sparse_attention.clusters.centroids import Centroids
from sparse_attention.clusters.fitting import ClusterOptions, layer_vectors
from sparse_attention.clusters.fitting import fit_clusters as fit_vectors
from sparse_attention.errors import InputError
from sparse_attention.files.tables import read_table
from sparse_attention.projections.model import Projections
from sparse_attention.projections.weights import ProjectionSetting, initial_weights
from sparse_attention.qk.store import QKReader

OPTIONS = {"source": None, "max_iterations": 20, "initialisations": 2}


@pytest.fixture
def projections(tmp_path):
    setting, generator = ProjectionSetting("linear", 2, True), torch.Generator().manual_seed(0)
    weights = [initial_weights(setting, 3, 6, generator) for _ in range(2)]
    found = Projections.of([(both, both) for both in weights])
    found.save(tmp_path / "p.safetensors")
    return found


def fit(stores, output, projections, clusters=4, runs=2, seed=1, block_size=1, threads=1):
    params = {"setting": {"clusters": clusters, "runs": runs}, "options": OPTIONS, "seed": seed}
    fit_clusters.main(
        SimpleNamespace(
            input=SimpleNamespace(qk_train=str(stores / "qk" / "train"), projections=projections),
            output=SimpleNamespace(clusters=str(output / "c.safetensors"), inertia=str(output / "inertia.tsv")),
            params=SimpleNamespace(**params, block_size=block_size, threads=threads),
        )
    )
    return Centroids.load(output / "c.safetensors"), read_table(output / "inertia.tsv")


@pytest.mark.parametrize("projected", [True, False], ids=["projected", "not projected"])
def test_centroids_are_those_of_all_train_queries_and_keys(small_stores, tmp_path, projections, projected):
    centroids, table = fit(small_stores, tmp_path, str(tmp_path / "p.safetensors") if projected else [])
    for layer in (0, 1):
        examples = QKReader(small_stores / "qk" / "train").examples(layer)
        sides = [(example.queries, example.keys) for example in examples]
        if projected:
            sides = [projections.project(layer, *pair) for pair in sides]
        vectors = torch.cat([side for pair in sides for side in pair], 1)
        expected, _ = fit_vectors(vectors, 4, 2, 1, ClusterOptions.of(OPTIONS))
        assert torch.equal(centroids.layer(layer), expected)
    assert list(table.columns) == ["layer", "head", "run", "inertia", "iterations", "vectors"]
    assert len(table) == 2 * 3 * 2 and set(table["vectors"]) == {2 * (12 + 7 + 9 + 12)}


def test_the_same_seed_gives_the_same_bytes(small_stores, tmp_path):
    for name, seed in (("first", 1), ("again", 1), ("other", 2)):
        fit(small_stores, tmp_path / name, [], seed=seed)
    for file in ("c.safetensors", "inertia.tsv"):
        first, again, other = ((tmp_path / name / file).read_bytes() for name in ("first", "again", "other"))
        assert first == again and first != other


def test_clusters_of_blocks_are_those_of_their_tokens_vectors(small_stores, tmp_path, projections):
    centroids, table = fit(small_stores, tmp_path, str(tmp_path / "p.safetensors"), block_size=3)
    reader = QKReader(small_stores / "qk" / "train")
    for layer in (0, 1):
        vectors = layer_vectors(reader, projections, layer, 3)
        expected, _ = fit_vectors(vectors, 4, 2, 1, ClusterOptions.of(OPTIONS))
        assert expected.shape[-1] == 6 and torch.equal(centroids.layer(layer), expected)
    assert set(table["vectors"]) == {2 * (4 + 3 + 3 + 4)}


def test_clusters_of_joint_vectors_have_one_for_each_position(small_stores, tmp_path):
    setting = ProjectionSetting("linear", 2, True, concat=True)
    weights = initial_weights(setting, 3, 6, torch.Generator().manual_seed(0))
    Projections.of([(weights, weights)] * 2, concat=True).save(tmp_path / "p.safetensors")
    centroids, table = fit(small_stores, tmp_path, str(tmp_path / "p.safetensors"))
    assert centroids.layer(0).shape == (3, 2, 4, 2) and set(table["vectors"]) == {12 + 7 + 9 + 12}


def test_threads_change_nothing(small_stores, tmp_path):
    for threads in (1, 3):
        fit(small_stores, tmp_path / str(threads), [], threads=threads)
    for file in ("c.safetensors", "inertia.tsv"):
        assert (tmp_path / "1" / file).read_bytes() == (tmp_path / "3" / file).read_bytes()


def test_more_clusters_than_vectors_are_refused(small_stores, tmp_path):
    with pytest.raises(InputError, match=r"predictors\.kmeans\.clusters: 81, .* has 80 distinct vectors"):
        fit(small_stores, tmp_path, [], clusters=81)
    assert not (tmp_path / "c.safetensors").exists()


def test_the_record_of_an_import_goes(small_stores, tmp_path):
    (tmp_path / "imported.json").touch()
    fit(small_stores, tmp_path, [])
    assert not (tmp_path / "imported.json").exists()
