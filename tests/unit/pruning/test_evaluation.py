"""Evaluation: every system in every way, its cost, and the tokens that each layer leaves."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from sparse_attention.metrics.flops import LayerShape, layer_multiply_adds, pruned_multiply_adds
from sparse_attention.pruning.evaluation import (
    KEPT,
    PREDICTIONS,
    Models,
    Row,
    costs,
    evaluate_dense,
    evaluate_pruned,
    row_tables,
    shape_of,
)
from sparse_attention.pruning.matching import shortened, token_weights
from sparse_attention.pruning.model import PrunedClassifier
from sparse_attention.pruning.prediction import Predicted, predict
from sparse_attention.pruning.stored import make_pruned
from sparse_attention.pruning.thresholds import PruningSettings
from toy_code import toy_functions

STAGES = [("dense", "masked"), ("dense", "dropped"), ("hard", "masked"), ("hard", "dropped")]
SOFT, BASELINES = [("soft", "masked")], [(name, "dropped") for name in ("manual", "topk", "random", "text")]


@pytest.fixture(scope="module")
def tokens():
    return toy_functions(train=6, validation=6, test=5, shortest=8, longest=20)


@pytest.fixture
def make_models(make_classifier):
    """Return a function that makes the models of the stages, the hard one with thresholds that prune."""

    def make(family="longformer", soft=True) -> Models:
        dense = PrunedClassifier(make_classifier(family), PruningSettings(final=0.0)).eval()
        pruned = [PrunedClassifier(make_classifier(family, 1), PruningSettings(final=0.1)).eval() for _ in range(2)]
        return Models(dense, pruned[0] if soft else None, pruned[1])

    return make


def evaluate(models, tokens, batch_size, baselines, seed=0):
    """Return the tables of the dense model and of the pruned ones, one below the other."""
    weights = token_weights(models.dense, tokens, batch_size) if baselines else None
    dense = evaluate_dense(models.dense, tokens, batch_size)
    pruned = evaluate_pruned(models, tokens, batch_size, weights, seed)
    return [pd.concat(tables, ignore_index=True) for tables in zip(dense, pruned, strict=True)]


@pytest.mark.parametrize("soft", [True, False], ids=["soft", "no soft"])
@pytest.mark.parametrize("baselines", [True, False], ids=["baselines", "no baselines"])
def test_the_tables_have_every_system_and_way(soft, baselines, tokens, make_models):
    predictions, kept = evaluate(make_models(soft=soft), tokens, 3, baselines, 0)
    assert tuple(predictions.columns) == PREDICTIONS and tuple(kept.columns) == KEPT
    expected = {*STAGES, *(SOFT if soft else []), *(BASELINES if baselines else [])}
    test = tokens.of("test").tolist()
    for table, each in ((predictions, test), (kept, list(np.repeat(test, 3)))):
        groups = {pair: rows for pair, rows in table.groupby(["system", "way"])}
        assert set(groups) == expected
        assert all(rows["function"].tolist() == each for rows in groups.values())
    assert (predictions.groupby("function")["label"].nunique() == 1).all()
    assert predictions["label"].tolist() == tokens.labels[predictions["function"].tolist()].tolist()


def test_a_variant_that_cannot_drop_has_no_dropped_rows(tokens, make_models, make_classifier):
    settings = PruningSettings("manual", "relative", final=0.4, variant="as_published")
    hidden = Models(make_models().dense, None, make_pruned(make_classifier("longformer"), settings).eval())
    predictions, _ = evaluate(hidden, tokens, 3, True, 0)
    assert list(predictions.groupby(["system", "way"], sort=False).groups) == STAGES[:3]


@pytest.mark.parametrize("family", ["longformer", "roberta"])
def test_tables_hold_what_each_model_predicts_and_costs(family, tokens, make_models):
    models = make_models(family)
    predictions, kept = evaluate(models, tokens, 3, True, 0)
    groups = {pair: rows.reset_index(drop=True) for pair, rows in predictions.groupby(["system", "way"])}
    left = {pair: rows["kept"].to_numpy().reshape(5, 3) for pair, rows in kept.groupby(["system", "way"])}
    test = tokens.of("test").tolist()
    for system, way in STAGES + SOFT:
        found = predict(getattr(models, system), tokens, test, system, 3, drop=way == "dropped")
        assert groups[system, way]["probability"].tolist() == found.probabilities.tolist()
        assert left[system, way].tolist() == found.kept.tolist()
    assert kept["layer"].tolist() == [0, 1, 2] * 5 * 9
    share = predict(models.hard, tokens, tokens.of("validation").tolist(), "hard", 3, drop=True).kept_share
    weights = token_weights(models.dense, tokens, 3)
    text = predict(models.dense, shortened(tokens, test, weights, share), test, "dense", 3, drop=True)
    assert groups["text", "dropped"]["probability"].tolist() == text.probabilities.tolist()

    whole = groups["dense", "masked"]
    for pair, rows in groups.items():
        assert rows["dense_gflops"].tolist() == whole["gflops"].tolist(), pair
        assert (rows["gflops"].tolist() == whole["gflops"].tolist()) == (pair[1] == "masked"), pair
    for system in ("hard", "manual", "topk", "random", "text"):
        assert (left[system, "dropped"].sum(1) < left["dense", "dropped"].sum(1)).all()
        assert (groups[system, "dropped"]["gflops"] < groups["dense", "dropped"]["gflops"]).all(), system


def test_baselines_keep_about_as_much_as_the_learned_model_does_on_validation(tokens, make_models):
    models = make_models()
    predictions, kept = evaluate(models, tokens, 3, True, 0)
    lengths = tokens.lengths[tokens.of("test")].numpy()
    found = predict(models.hard, tokens, tokens.of("validation").tolist(), "hard", 3, drop=True)
    layers = (found.kept / found.lengths[:, None]).mean(0)
    left = {system: rows["kept"].to_numpy().reshape(-1, 3) for system, rows in kept.groupby("system")}
    for system in ("topk", "random"):
        expected = [[max(1, math.ceil(share * n - 1e-4)) for share in layers] for n in lengths]
        assert left[system].tolist() == expected
    fewer = [math.ceil(found.kept_share * n - 1e-6) for n in lengths]
    text = predictions[predictions["system"] == "text"]
    assert text["tokens"].tolist() == fewer and left["text"].tolist() == [[n] * 3 for n in fewer]
    others = predictions[predictions["system"] != "text"]
    assert others["tokens"].tolist() == lengths.tolist() * (len(others) // 5)


def test_the_seed_changes_the_random_baseline_only(tokens, make_models):
    models = make_models()
    one, other = (evaluate(models, tokens, 3, True, seed)[0].set_index("system")["probability"] for seed in (0, 1))
    changed = {system for system in one.index.unique() if one[system].tolist() != other[system].tolist()}
    assert changed == {"random"}


LENGTHS, LEFT = np.array([9, 20, 5]), np.array([[7.0, 2.0, 1.0], [20.0, 11.0, 5.0], [4.0, 4.0, 3.0]])


@pytest.mark.parametrize("window", [None, 4], ids=["full", "window"])
@pytest.mark.parametrize("way", ["masked", "dropped"])
@pytest.mark.parametrize("read", [LENGTHS, LENGTHS - 1], ids=["whole", "shortened"])
def test_costs_are_those_of_a_loop_over_layers(window, way, read, make_models):
    shape = LayerShape(6, 10, window)
    row = Row("any", way, Predicted(np.arange(3), np.ones(3), np.ones(3), read, LEFT))
    found = costs(row, shape, 2, LENGTHS)
    for function in range(3):
        n = int(LENGTHS[function])
        dense = 3 * float(layer_multiply_adds(shape, n, n))
        needed = float(pruned_multiply_adds(shape, read[[function]], LEFT[[function]].T, 2)[0])
        assert found["dense_gflops"][function] == pytest.approx(2e-9 * dense)
        assert found["gflops"][function] == pytest.approx(2e-9 * (dense if way == "masked" else needed))


def test_the_layer_shape_is_that_of_the_model(make_models, tokens):
    assert shape_of(make_models("longformer").hard) == LayerShape(24, 40, 4)
    model = make_models("roberta").hard
    assert shape_of(model) == LayerShape(24, 40, None)
    row = Row("x", "dropped", predict(model, tokens, [3, 1], "hard", 2, drop=True))
    predictions, kept = row_tables(row, model, row.predicted.lengths)
    assert predictions["gflops"].tolist() == costs(row, shape_of(model), 3, row.predicted.lengths)["gflops"].tolist()
    assert (
        kept["function"].tolist() == [3, 3, 3, 1, 1, 1] and kept["kept"].tolist() == row.predicted.kept.ravel().tolist()
    )
