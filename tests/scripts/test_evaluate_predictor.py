"""The script on small real stores: every predictor's table, and what it refuses."""

from __future__ import annotations

from types import SimpleNamespace

import pandas as pd
import pytest
import torch

import evaluate_predictor
from points import GRIDS
from sparse_attention.clusters.centroids import Centroids
from sparse_attention.errors import InputError
from sparse_attention.evaluation.sweep import METRICS
from sparse_attention.files.tables import read_table
from sparse_attention.predictors.registry import discover
from sparse_attention.projections.model import Projections
from sparse_attention.projections.weights import ProjectionSetting, initial_weights
from sparse_attention.qk.gold import GoldWriter, gold_of
from sparse_attention.qk.store import QKInfo, QKReader, QKWriter

LAYERS, HEADS, EXAMPLES = 2, 3, 3
COLUMNS = ["layer", "head", "point", "window", "keep", "grid", "examples", *METRICS]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder, lengths = tmp_path_factory.mktemp("stores"), (12, 7, 9)
    generator = torch.Generator().manual_seed(0)
    info = QKInfo(LAYERS, HEADS, 6, lengths, lengths, tuple("abc"))
    with QKWriter(folder / "qk", info) as writer:
        for layer in range(LAYERS):
            for index, n in enumerate(lengths):
                writer.write(layer, index, *(2 * torch.randn(HEADS, n, 6, generator=generator) for _ in range(2)))
    reader = QKReader(folder / "qk")
    with GoldWriter(folder / "gold", reader.info) as writer:
        for layer in range(LAYERS):
            for example in reader.examples(layer):
                writer.write(layer, example, gold_of(example, 1.5))
    weights = [initial_weights(ProjectionSetting("linear", 2, True), HEADS, 6, generator) for _ in range(LAYERS)]
    Projections.of([(both, both) for both in weights]).save(folder / "projections.safetensors")
    centroids = (torch.randn(HEADS, 2, 5, 2, generator=generator, dtype=torch.float64) for _ in range(LAYERS))
    Centroids(tuple(centroids)).save(folder / "clusters.safetensors")
    return folder


def outputs(table):
    names = {name: str(table.with_suffix(f".{name}.tsv")) for name in ("documents", "offsets")}
    return SimpleNamespace(table=str(table), **names)


def job(folder, output, name, **changes):
    fixed, grid = GRIDS.get(name, ({}, {}))
    needs, fits = (discover()[name].needs, discover()[name].fits) if name in discover() else ((), False)
    inputs = {
        "qk": str(folder / "qk"),
        "gold": str(folder / "gold"),
        "qk_train": str(folder / "qk") if fits else [],
        "gold_train": str(folder / "gold") if fits else [],
        "projections": str(folder / "projections.safetensors") if "projection" in needs else [],
        "centroids": str(folder / "clusters.safetensors") if "clusters" in needs else [],
    }
    params = {"threads": 1, "device": "cpu", "block_size": 1, "predictor": name, "grid": grid, "fixed": fixed,
              "windows": [0, 3], "keep": ["none", "cls"], "seed": 1}  # fmt: skip
    inputs |= {key: value for key, value in changes.items() if key in inputs}
    params |= {key: value for key, value in changes.items() if key in params}
    return SimpleNamespace(
        input=SimpleNamespace(**inputs), output=outputs(output), params=SimpleNamespace(**params),
        wildcards=SimpleNamespace(), log=[], rule="evaluate_predictor",
    )  # fmt: skip


@pytest.mark.parametrize("name", GRIDS)
def test_the_table_has_every_layer_head_point_window_and_keep(name, folder, tmp_path):
    evaluate_predictor.main(job(folder, tmp_path / "table.tsv", name))
    table = read_table(tmp_path / "table.tsv", COLUMNS)
    assert list(table.columns) == COLUMNS
    points = len(table["point"].unique())
    assert len(table) == LAYERS * HEADS * points * 4
    assert not table[COLUMNS[:6]].duplicated().any()
    assert table.notna().all(axis=None)
    assert set(table["keep"]) == {"none", "cls"}
    assert (table["examples"] == EXAMPLES).all()
    shares = table[["sparsity", "gold_sparsity", "recall", "best_recall", "mass_recall", "precision", "exactness"]]
    assert ((shares >= 0) & (shares <= 1)).all(axis=None)


@pytest.mark.parametrize("name", ["random", "kmeans"])
def test_two_runs_write_the_same_bytes_and_a_part_of_the_grid_the_same_rows(name, folder, tmp_path):
    for file in ("first.tsv", "second.tsv"):
        evaluate_predictor.main(job(folder, tmp_path / file, name))
    assert (tmp_path / "first.tsv").read_bytes() == (tmp_path / "second.tsv").read_bytes()
    ((key, values),) = GRIDS[name][1].items()
    evaluate_predictor.main(job(folder, tmp_path / "part.tsv", name, grid={key: values[1:]}, windows=[3]))
    whole, part = read_table(tmp_path / "first.tsv"), read_table(tmp_path / "part.tsv")
    rows = whole[whole["point"].isin(part["point"]) & (whole["window"] == 3)].reset_index(drop=True)
    assert len(part)
    pd.testing.assert_frame_equal(rows, part, check_dtype=False)


def test_the_seed_counts_for_chance_only(folder, tmp_path):
    for name, same in (("random", False), ("cos", True)):
        for seed in (1, 2):
            evaluate_predictor.main(job(folder, tmp_path / f"{seed}.tsv", name, seed=seed))
        assert ((tmp_path / "1.tsv").read_bytes() == (tmp_path / "2.tsv").read_bytes()) is same


def test_points_are_named_by_fitted_and_swept_settings(folder, tmp_path):
    evaluate_predictor.main(job(folder, tmp_path / "table.tsv", "kmeans"))
    points = read_table(tmp_path / "table.tsv")["point"].unique().tolist()
    assert points == ["clusters~5_runs~2_top~1", "clusters~5_runs~2_top~2"]


def test_the_oracle_is_above_random_at_no_less_sparsity(folder, tmp_path):
    for name, grid in (("oracle", {"keys": [2]}), ("random", {"sparsity": [0.7]})):
        evaluate_predictor.main(job(folder, tmp_path / f"{name}.tsv", name, grid=grid, windows=[0], keep=["none"]))
    oracle, random = (read_table(tmp_path / f"{name}.tsv").mean(numeric_only=True) for name in ("oracle", "random"))
    assert oracle["sparsity"] > random["sparsity"]
    assert oracle["recall"] > random["recall"] + 0.2


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("cosine", {}, r"predictors\.cosine: no such predictor; allowed: bigbird"),
        ("kmeans", {"centroids": []}, "kmeans: there are no centroids"),
        (
            "kmeans",
            {"projections": []},
            "centroids: 3 heads of dimension 2 in layer 0; allowed: 3 heads of dimension 6",
        ),
        ("kmeans", {"grid": {"top": [6]}}, "top: 6; allowed: 1 to the 5 clusters"),
        ("cos", {"gold": "missing"}, "missing"),
        ("cos", {"windows": [4]}, "windows: 4 is not allowed"),
    ],
)
def test_what_cannot_be_evaluated_is_told_and_leaves_no_table(name, changes, message, folder, tmp_path):
    with pytest.raises(InputError, match=message):
        evaluate_predictor.main(job(folder, tmp_path / "table.tsv", name, **changes))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size", [2, 5])
@pytest.mark.parametrize("name", ["cos", "fixed", "window", "oracle"])
def test_blocks_are_evaluated_on_both_grids(name, size, folder, tmp_path):
    projections = str(folder / "projections.safetensors") if "projection" in discover()[name].needs else []
    evaluate_predictor.main(job(folder, tmp_path / "table.tsv", name, block_size=size, projections=projections))
    table = read_table(tmp_path / "table.tsv", COLUMNS)
    assert set(table["grid"]) == {"token", "block"}
    by_grid = table.groupby("grid")["gold_sparsity"].mean()
    assert by_grid["block"] < by_grid["token"]


def test_thresholds_for_other_than_all_heads_are_refused(folder, tmp_path):
    with pytest.raises(InputError, match=r"predictors\.cos\.threshold: \[0\.1, 0\.2\] has 2 numbers for 3 heads"):
        evaluate_predictor.main(job(folder, tmp_path / "table.tsv", "cos", grid={"threshold": [0.1, [0.1, 0.2]]}))
