"""Evaluation over stored examples: the averaging order, the names of points, fitting, and inputs that do not belong."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest
import torch

from sparse_attention.attention.masks import keep_mask, window_mask
from sparse_attention.attention.support import GoldWriter, gold_of
from sparse_attention.errors import InputError
from sparse_attention.evaluation import Split, evaluate, point_name
from sparse_attention.predictors.base import Context, Predictor
from sparse_attention.predictors.registry import create
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
    table = evaluate(create("l2", Context()), split, {"threshold": [4.0, 20.0]}, [0, 3], ["none", "cls"])
    assert len(table) == LAYERS * HEADS * 2 * 2 * 2
    assert list(table.columns[:6]) == ["layer", "head", "point", "window", "keep", "examples"]
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
    )
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
    table = evaluate(create("window", Context()), write_split(tmp_path), {"width": 19})
    assert (table[["recall", "mass_recall", "exactness"]] == 1).all(axis=None)
    assert (table["sparsity"] == 0).all()


def test_a_window_that_is_predicted_equals_a_window_that_is_added(tmp_path):
    split = write_split(tmp_path)
    predicted = evaluate(create("window", Context()), split, {"width": 3})
    added = evaluate(create("random", Context()), split, {"sparsity": 1.0}, [3])
    metrics = predicted.columns[6:]
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
    table = evaluate(Frequent(Context()), validation, {"keys": [1, 9]}, training=training)
    assert (table[table["point"] == "keys~9"]["recall"] == 1).all()
    assert (table[table["point"] == "keys~1"]["recall"] < 1).all()
    with pytest.raises(InputError, match="frequent: learns from the train split, and there is none"):
        evaluate(Frequent(Context()), validation, {"keys": [1]})


def test_gold_of_other_queries_and_keys_is_refused(tmp_path):
    write_split(tmp_path / "a")
    write_split(tmp_path / "b", queries=(5, 9, 2), keys=(5, 9, 2))
    with pytest.raises(InputError, match=r"b/gold: made from other queries and keys than those in .*a/qk"):
        Split(tmp_path / "a/qk", tmp_path / "b/gold")
