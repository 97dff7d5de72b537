"""The script on small real stores: every quantizer's tables."""

from types import SimpleNamespace

import pytest
import torch

import analyse_buckets
from sparse_attention.clusters.centroids import Centroids
from sparse_attention.errors import InputError
from sparse_attention.files.tables import read_table
from sparse_attention.projections.model import Projections
from sparse_attention.projections.weights import ProjectionSetting, initial_weights

GRIDS = {"fixed": ({"bucket_size": [2, 4]}, {}), "kmeans": ({"top": [1, 2]}, {"clusters": 3, "runs": 2})}


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    folder, generator = tmp_path_factory.mktemp("fitted"), torch.Generator().manual_seed(0)
    weights = [initial_weights(ProjectionSetting("linear", 2, True), 3, 6, generator) for _ in range(2)]
    Projections.of([(both, both) for both in weights]).save(folder / "projections.safetensors")
    centroids = (torch.randn(3, 2, 3, 2, generator=generator, dtype=torch.float64) for _ in range(2))
    Centroids(tuple(centroids)).save(folder / "clusters.safetensors")
    return folder


def job(stores, fitted, output, name, block_size=1):
    grid, fixed = GRIDS[name]
    inputs = {
        "qk": str(stores / "qk" / "validation"),
        "gold": str(stores / "gold" / "validation"),
        "qk_train": [],
        "gold_train": [],
        "projections": str(fitted / "projections.safetensors"),
        "centroids": str(fitted / "clusters.safetensors") if name == "kmeans" else [],
    }
    params = {"threads": 1, "predictor": name, "grid": grid, "fixed": fixed, "block_size": block_size, "examples": 1}
    params |= {"device": "cpu", "seed": 1}
    outputs = {name: str(output / f"{name}.tsv") for name in ("buckets", "common")}
    return SimpleNamespace(
        input=SimpleNamespace(**inputs), output=SimpleNamespace(**outputs), params=SimpleNamespace(**params), log=[]
    )


@pytest.mark.parametrize("name, block_size", [("fixed", 1), ("fixed", 2), ("kmeans", 1)])
def test_both_tables_are_written(name, block_size, small_stores, fitted, tmp_path):
    analyse_buckets.main(job(small_stores, fitted, tmp_path, name, block_size))
    buckets, common = (read_table(tmp_path / f"{table}.tsv") for table in ("buckets", "common"))
    columns = ["layer", "head", "point", "side", "examples", "buckets", "entropy", "largest_share", "empty_share"]
    assert list(buckets.columns) == [*columns, "balance", "outside_share"]
    assert len(buckets) == 2 * 3 * 2 * 2 and set(buckets["examples"]) == {1}
    assert buckets[["entropy", "largest_share", "empty_share"]].stack().dropna().between(0, 1).all()
    assert list(common.columns) == ["layer", "point", "distance_bin", "common", "pairs", "gold_pairs"]
    # the first validation example has 8 tokens
    assert common.groupby(["layer", "point"])["pairs"].sum().round(3).eq((8 / block_size) ** 2).all()
    assert (common["gold_pairs"] <= common["pairs"]).all() and (common["pairs"] > 0).all()


def test_two_runs_write_the_same_bytes(small_stores, fitted, tmp_path):
    for folder in ("first", "second"):
        analyse_buckets.main(job(small_stores, fitted, tmp_path / folder, "kmeans"))
    for name in ("buckets", "common"):
        first, second = ((tmp_path / folder / f"{name}.tsv").read_bytes() for folder in ("first", "second"))
        assert first == second


def test_centroids_are_needed_where_they_are(small_stores, fitted, tmp_path):
    given = job(small_stores, fitted, tmp_path, "kmeans")
    given.input.centroids = []
    with pytest.raises(InputError, match="kmeans: there are no centroids"):
        analyse_buckets.main(given)
    assert list(tmp_path.iterdir()) == []
