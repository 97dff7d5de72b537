"""Evaluation over stored examples: the averaging order, the names of points, fitting, and inputs that do not belong."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
import torch

from sparse_attention.attention.masks import keep_mask, window_mask
from sparse_attention.errors import InputError
from sparse_attention.evaluation import sweep
from sparse_attention.evaluation.examples import Split
from sparse_attention.evaluation.sweep import METRICS, evaluate, point_name
from sparse_attention.predictors.base import Context, Predictor
from sparse_attention.predictors.registry import create
from sparse_attention.qk.gold import GoldWriter, gold_of
from sparse_attention.qk.store import QKInfo, QKReader, QKWriter

LAYERS, HEADS = 2, 3


def write_split(folder, *, queries=(5, 9, 3), keys=(5, 9, 3), causal=False, seed=0):
    info = QKInfo(LAYERS, HEADS, 4, queries, keys, tuple("abc"), causal)
    generator = torch.Generator().manual_seed(seed)
    with QKWriter(folder / "qk", info) as writer:
        for layer in range(LAYERS):
            for index, (n, m) in enumerate(zip(queries, keys, strict=True)):
                vectors = (2 * torch.randn(HEADS, size, 4, generator=generator) for size in (n, m))
                writer.write(layer, index, *vectors)
    with GoldWriter(folder / "gold", QKReader(folder / "qk").info) as writer:
        for layer in range(LAYERS):
            for example in QKReader(folder / "qk").examples(layer):
                writer.write(layer, example, gold_of(example, 1.5))
    return Split(folder / "qk", folder / "gold")


@pytest.mark.parametrize(
    "shape",
    [{}, {"causal": True}, {"queries": (2, 7, 4), "keys": (6, 3, 4)}],
    ids=["ragged", "ragged-causal", "rectangular"],
)
def test_metrics_are_per_example_then_averaged_over_examples(shape, tmp_path):
    split = write_split(tmp_path, **shape)
    table = evaluate(create("l2", Context()), split, {"threshold": [4.0, 20.0]}, [0, 3], ["none", "cls"]).table
    assert len(table) == LAYERS * HEADS * 2 * 2 * 2
    assert list(table.columns) == ["layer", "head", "point", "window", "keep", "grid", "examples", *METRICS]
    assert (table["examples"] == 3).all()
    for row in table.itertuples():
        threshold = float(row.point.removeprefix("threshold~"))
        recalls, sparsities, masses, edges = [], [], [], []
        for example in split.qk.examples(row.layer):
            q, k = example.queries[row.head], example.keys[row.head]
            kept = ((q[:, None] - k[None]) ** 2).sum(-1) < threshold
            kept |= window_mask(len(q), len(k), row.window) | keep_mask(len(q), len(k), row.keep)
            attention = gold_of(example, 1.5).dense()[row.head].double()
            recalls.append(float((kept & (attention > 0)).sum() / (attention > 0).sum()))
            masses.append(float(attention[kept].sum() / attention.sum()))
            edges.append(int((kept & example.valid).sum()))
            sparsities.append(1 - edges[-1] / int(example.valid.sum()))
        found = row.recall, row.mass_recall, row.sparsity, row.edges
        assert found == pytest.approx([np.mean(x) for x in (recalls, masses, sparsities, edges)], abs=1e-7)
    gold = table.groupby(["layer", "head"])["gold_sparsity"].first().to_numpy().reshape(LAYERS, HEADS)
    np.testing.assert_allclose(gold, split.gold.sparsity)


def test_rows_come_in_the_order_of_the_axes(tmp_path):
    table = evaluate(
        create("window", Context()), write_split(tmp_path), {"width": [3, 1]}, [0, 5], ["none", "cls+last"]
    ).table
    axes = table[["layer", "head", "point", "window", "keep"]]
    assert not axes.duplicated().any()
    assert axes.iloc[:5].to_numpy().tolist() == [
        [0, 0, "width~3", 0, "none"],
        [0, 0, "width~3", 0, "cls+last"],
        [0, 0, "width~3", 5, "none"],
        [0, 0, "width~3", 5, "cls+last"],
        [0, 0, "width~1", 0, "none"],
    ]


def test_a_window_over_everything_recalls_all_and_is_not_sparse(tmp_path):
    table = evaluate(create("window", Context()), write_split(tmp_path), {"width": 19}).table
    assert (table[["recall", "mass_recall", "exactness"]] == 1).all(axis=None)
    assert (table["sparsity"] == 0).all()


def test_a_window_that_is_predicted_equals_a_window_that_is_added(tmp_path):
    split = write_split(tmp_path)
    predicted = evaluate(create("window", Context()), split, {"width": 3}).table
    added = evaluate(create("random", Context()), split, {"sparsity": 1.0}, [3]).table
    metrics = list(METRICS)
    np.testing.assert_array_equal(predicted[metrics], added[metrics])


def test_a_point_names_fitted_and_swept_settings_in_the_order_of_the_class():
    kmeans = create("kmeans", Context(fixed={"runs": 1, "clusters": 8}, centroids=object()))
    assert point_name(kmeans, {"top": 2}) == "clusters~8_runs~1_top~2"
    assert point_name(create("dynamic", Context()), {"temperature": 0.5, "bucket_size": 4}) == (
        "bucket_size~4_temperature~0.5"
    )


class Frequent(Predictor):
    """The `keys` key positions that training examples attend to most, in the layer that was fitted last."""

    name = "frequent"
    fits = True
    parameters: ClassVar = {"keys": {"type": "integer", "minimum": 1}}

    def fit(self, layer, training):
        self.layer, counts = layer, torch.zeros(LAYERS, 9)
        for _ in range(2):
            for features, gold in training:
                assert features.layer == layer
                counts[layer, : features.shape[2]] += gold.support.sum((0, 1))
        self.order = counts[layer].argsort(descending=True, stable=True)

    def predict(self, features, keys):
        assert features.layer == self.layer
        mask = torch.zeros(9, dtype=torch.bool)
        mask[self.order[:keys]] = True
        return mask[: features.shape[2]]


def test_a_predictor_that_fits_learns_each_layer_from_the_train_split(tmp_path):
    training, validation = write_split(tmp_path / "train", seed=1), write_split(tmp_path / "validation")
    table = evaluate(Frequent(Context()), validation, {"keys": [1, 9]}, training=training).table
    assert (table[table["point"] == "keys~9"]["recall"] == 1).all()
    assert (table[table["point"] == "keys~1"]["recall"] < 1).all()
    with pytest.raises(InputError, match="predictors.frequent: there is no train split"):
        evaluate(Frequent(Context()), validation, {"keys": [1]})


def test_gold_of_other_queries_and_keys_is_refused(tmp_path):
    write_split(tmp_path / "a")
    write_split(tmp_path / "b", queries=(5, 9, 2), keys=(5, 9, 2))
    with pytest.raises(InputError, match=r"b/gold: computed from other queries and keys; allowed: .*a/qk"):
        Split(tmp_path / "a/qk", tmp_path / "b/gold")


@pytest.mark.parametrize("shape", [{}, {"causal": True}, {"queries": (2, 7, 4), "keys": (6, 3, 4)}], ids=str)
def test_blocks_are_measured_on_both_grids(shape, tmp_path):
    write_split(tmp_path, **shape)
    split = Split(tmp_path / "qk", tmp_path / "gold", block_size=2)
    table = evaluate(create("window", Context()), split, {"width": [1, 3]}, [0], ["none"]).table
    assert set(table["grid"]) == {"token", "block"}
    for row in table.itertuples():
        width, recalls, sparsities = int(row.point.removeprefix("width~")), [], []
        for example in split.qk.examples(row.layer):
            gold, valid = gold_of(example, 1.5).support[row.head], example.valid
            blocks = [-(-n // 2) for n in gold.shape]
            kept = window_mask(*blocks, width)
            pooled = [
                torch.tensor([[m[2 * i : 2 * i + 2, 2 * j : 2 * j + 2].any() for j in range(blocks[1])]
                              for i in range(blocks[0])])
                for m in (gold, valid)
            ]  # fmt: skip
            if row.grid == "token":
                kept = kept.repeat_interleave(2, 0).repeat_interleave(2, 1)[: gold.shape[0], : gold.shape[1]]
            else:
                gold, valid = pooled
            recalls.append(float((kept & gold).sum() / gold.sum()))
            sparsities.append(1 - float((kept & valid).sum() / valid.sum()))
        assert (row.recall, row.sparsity) == pytest.approx((np.mean(recalls), np.mean(sparsities)), abs=1e-6)


@pytest.mark.parametrize("grid", ["threads", "parts"])
def test_neither_threads_nor_parts_change_a_digit(grid, tmp_path, monkeypatch):
    split, points = write_split(tmp_path), {"threshold": [1.0, 8.0]}
    whole = evaluate(create("l2", Context()), split, points, [0, 3])
    if grid == "parts":
        monkeypatch.setitem(sweep.PAIRS_AT_ONCE, "cpu", 1)
    again = evaluate(create("l2", Context()), split, points, [0, 3], threads=2 if grid == "threads" else 1)
    for one, other in zip(whole, again, strict=True):
        pd.testing.assert_frame_equal(one, other, check_exact=True)


def test_documents_are_means_over_their_examples_layers_and_heads(tmp_path):
    split = write_split(tmp_path)
    result = evaluate(create("l2", Context()), split, {"threshold": [4.0, 20.0]}, [0, 3], ["none", "cls"])
    assert result.documents["document"].unique().tolist() == ["a", "b", "c"]
    by_point = result.documents.groupby(["point", "window", "keep"], sort=False)[list(METRICS)].mean()
    by_head = result.table.groupby(["point", "window", "keep"], sort=False)[list(METRICS)].mean()
    pd.testing.assert_frame_equal(by_point, by_head)


def test_distances_of_predicted_and_gold_pairs_are_counted(tmp_path):
    split = write_split(tmp_path)
    offsets = evaluate(create("window", Context()), split, {"width": [1, 5]}).offsets
    near = offsets.pivot_table(index="point", columns="distance", values="edges", sort=False)
    assert near.loc["width~1", "0"] == pytest.approx(np.mean([5, 9, 3]))
    assert near.loc["width~5", "2"] == pytest.approx(2 * np.mean([3, 7, 1]))
    assert near.loc["width~5", "3-4"] == 0
    for layer in range(LAYERS):
        pairs = [int(gold.support.sum()) / HEADS for gold in split.gold.examples(layer)]
        golden = offsets[(offsets["point"] == "gold") & (offsets["layer"] == layer)]
        assert golden["edges"].sum() == pytest.approx(np.mean(pairs))
