from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

import export_centroids
from sparse_attention.clusters import fitting as module
from sparse_attention.clusters.centroids import Centroids
from sparse_attention.clusters.fitting import fit_clusters, layer_vectors
from sparse_attention.errors import InputError
from sparse_attention.files.tables import read_table
from sparse_attention.projections.model import Projections
from sparse_attention.projections.weights import ProjectionSetting, initial_weights
from sparse_attention.qk.store import QKReader


@pytest.fixture
def clusters(small_stores, tmp_path):
    weights = initial_weights(ProjectionSetting("linear", 2, True), 3, 6, torch.Generator().manual_seed(0))
    projections = Projections.of([(weights, weights)] * 2)
    projections.save(tmp_path / "p.safetensors")
    train = QKReader(small_stores / "qk" / "train")
    found = Centroids(tuple(fit_clusters(layer_vectors(train, projections, layer), 4, 2, 0)[0] for layer in (0, 1)))
    found.save(tmp_path / "clusters.safetensors")
    return found


def export(stores, folder, block_size=1):
    inputs = {"clusters": folder / "clusters.safetensors", "qk_validation": stores / "qk" / "validation",
              "projections": folder / "p.safetensors"}  # fmt: skip
    files = {"centroids": "c.safetensors", "original": "c.pt", "agreement": "agreement.tsv"}
    export_centroids.main(
        SimpleNamespace(
            input=SimpleNamespace(**{name: str(path) for name, path in inputs.items()}),
            output=SimpleNamespace(**{name: str(folder / "out" / file) for name, file in files.items()}),
            params=SimpleNamespace(threads=1, block_size=block_size),
        )
    )
    return read_table(folder / "out" / "agreement.tsv")


def test_both_formats_hold_the_centroids_and_the_table_counts_every_vector(small_stores, tmp_path, clusters):
    table = export(small_stores, tmp_path)
    assert list(table.columns) == ["layer", "head", "run", "vectors", "mismatches", "ties"]
    assert len(table) == 2 * 3 * 2 and set(table["vectors"]) == {2 * (8 + 11)} and not table["mismatches"].any()
    for name in ("c.safetensors", "c.pt"):
        found = Centroids.load(tmp_path / "out" / name)
        assert all(torch.equal(a, b) for a, b in zip(found.layers, clusters.layers, strict=True))
    content = torch.load(tmp_path / "out" / "c.pt", weights_only=True)
    assert isinstance(content, list) and content[0].shape == (3, 2, 4, 2)


def test_centroids_of_blocks_are_checked_on_blocks(small_stores, tmp_path):
    train = QKReader(small_stores / "qk" / "train")
    vectors = [layer_vectors(train, Projections.identity(), layer, 4) for layer in (0, 1)]
    Centroids(tuple(fit_clusters(each, 3, 1, 0)[0] for each in vectors)).save(tmp_path / "clusters.safetensors")
    weights = initial_weights(ProjectionSetting("linear", 6, True), 3, 6, torch.Generator().manual_seed(0))
    weights |= {"w": torch.eye(6).expand(3, 6, 6), "b": torch.zeros(3, 1, 6)}
    Projections.of([(weights, weights)] * 2).save(tmp_path / "p.safetensors")
    table = export(small_stores, tmp_path, block_size=4)
    assert set(table["vectors"]) == {2 * (2 + 3)} and not table["mismatches"].any()


def test_one_mismatch_fails_the_rule_and_nothing_is_exported(small_stores, tmp_path, clusters, monkeypatch):
    labels = module._sklearn_labels

    def one_wrong(points, centroids):
        found = labels(points, centroids)
        found[0] = (found[0] + 1) % len(centroids)
        return found

    monkeypatch.setattr(module, "_sklearn_labels", one_wrong)
    with pytest.raises(InputError, match=rf"disagree on 12 of {12 * 38} validation vectors"):
        export(small_stores, tmp_path)
    assert not (tmp_path / "out").exists()
