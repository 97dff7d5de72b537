"""Measures of a model under predicted attention: against plain loops, and at points whose result is known."""

from __future__ import annotations

import pytest
import torch

from sparse_attention.attention.entmax import probabilities
from sparse_attention.models.attention import NAME, Attention, observed, set_attention
from sparse_attention.models.masked_lm import base_output
from sparse_attention.predictors.base import Context
from sparse_attention.predictors.registry import create
from sparse_attention.sparse_models.measure import measure_predicted
from sparse_attention.sparse_models.points import Point
from sparse_attention.sparse_models.prediction import PredictedAttention
from sparse_attention.sparse_models.validation import Validation, measure_full
from sparse_attention.training.losses import measure


@pytest.fixture
def model(make_model):
    made = make_model("bert").eval()
    made.set_attn_implementation(NAME)
    set_attention(made, Attention.parse("entmax~1.5"))
    return made


@pytest.fixture
def validation(corpus):
    return Validation(corpus, 7, 3, 0.3)


def points(name, *settings, **extras):
    predictors = [create(name, Context(seed=2)) for _ in range(2)]
    return [PredictedAttention(predictors, Point(setting, **extras)) for setting in settings]


def weighted(table, column="loss"):
    return (table[column] * table["masked_tokens"]).sum() / table["masked_tokens"].sum()


def test_full_attention_has_the_losses_that_training_reports(model, validation):
    table = measure_full(model, validation)
    losses = measure(model, validation.batches())
    assert weighted(table) == pytest.approx(losses.loss, rel=1e-6)
    assert weighted(table, "accuracy") == pytest.approx(losses.accuracy, rel=1e-6)
    assert table["masked_tokens"].sum() == losses.masked_tokens and len(table) == losses.blocks == 7
    assert list(table["document"]) == ["validation0", "validation1", "validation2"] * 2 + ["validation0"]
    assert list(table["block"]) == validation.indices.tolist()


def test_predicting_all_keys_gives_full_attention(model, validation):
    losses, heads = measure_predicted(model, points("oracle", {"keys": 24}), validation)
    full = measure_full(model, validation)
    assert list(losses["loss"]) == pytest.approx(list(full["loss"]), rel=1e-5)
    assert (heads[["recall", "mass_recall", "exactness"]] == 1).all().all()
    assert (heads["sparsity"] == 0).all() and (heads["empty_queries"] == 0).all()
    assert (heads["output_error"] < 1e-5).all()
    assert set(heads["gold"]) == {"current", "dense"} and len(heads) == 2 * 2 * 4 and (heads["examples"] == 7).all()


def test_points_of_one_job_do_not_influence_each_other(model, validation):
    settings = [{"sparsity": 0.5}, {"sparsity": 0.9}]
    together, heads = measure_predicted(model, points("random", *settings), validation)
    for setting in settings:
        alone, own = measure_predicted(model, points("random", setting), validation)
        name = alone["setting"].iloc[0]
        assert together[together["setting"] == name].reset_index(drop=True).equals(alone)
        assert heads[heads["setting"] == name].reset_index(drop=True).equals(own)


def test_heads_against_plain_loops(model, validation):
    """The dense row compares with a pass in which attention is full everywhere; the first layer's inputs are equal."""
    _, heads = measure_predicted(model, points("window", {"width": 3}, keep="cls"), validation)
    sums, count = torch.zeros(4, 4, dtype=torch.float64), 0
    model.set_attn_implementation(NAME)
    for batch in validation.batches():
        seen = []
        with observed(seen.append), torch.no_grad():
            base_output(model, batch["input_ids"], batch["attention_mask"])
        for row, n in enumerate(batch["attention_mask"].sum(1).tolist()):
            probability = seen[0].probabilities[row, :, :n, :n].double()
            places = torch.arange(n)
            kept = ((places[:, None] - places).abs() <= 1) | (places == 0) | (places[:, None] == 0)
            gold = probability > 0
            hits = gold & kept
            recall = hits.sum((-2, -1)) / gold.sum((-2, -1))
            exact = (hits == gold).all(-1).double().mean(-1)
            values = seen[0].values[row, :, :n]
            scores = seen[0].queries[row, :, :n] @ seen[0].keys[row, :, :n].mT / 8**0.5
            model_alpha = model.config.sparse_attention["alpha"]
            sparse = probabilities(scores.masked_fill(~kept, -torch.inf), model_alpha) @ values
            full = probability.float() @ values
            error = ((sparse - full).double().norm(dim=(-2, -1))) / full.double().norm(dim=(-2, -1))
            sparsity = (1 - kept.double().mean()).expand(4)
            sums += torch.stack([recall, exact, error, sparsity], -1)
            count += 1
    means = sums / count
    for gold in ("dense", "current"):  # in the first layer both are the same
        rows = heads[(heads["gold"] == gold) & (heads["layer"] == 0)]
        found = torch.tensor(rows[["recall", "exactness", "output_error", "sparsity"]].values)
        torch.testing.assert_close(found, means, atol=1e-5, rtol=1e-5)


def test_errors_compound_so_that_later_layers_see_other_activations(model, validation):
    _, heads = measure_predicted(model, points("window", {"width": 1}), validation)
    second = heads[heads["layer"] == 1].set_index(["gold", "head"])["gold_sparsity"]
    assert (second["dense"] - second["current"]).abs().max() > 1e-4


@pytest.mark.parametrize("dense", [False, True], ids=["empty rows give zeros", "empty rows attend to all"])
def test_queries_without_keys_are_counted(dense, model, validation):
    losses, heads = measure_predicted(model, points("window", {"width": 0}, dense_empty_rows=dense), validation)
    assert (heads["empty_queries"] == 1).all() and (heads["sparsity"] == 1).all()
    full = weighted(measure_full(model, validation))
    if dense:  # the published code reports a sparsity of 1 and computes full attention
        assert weighted(losses) == pytest.approx(full, rel=1e-6)
    else:
        assert abs(weighted(losses) - full) > 1e-3
        assert (heads["output_error"] == 1).all()


def test_more_keys_of_the_oracle_do_not_lower_recall(model, validation):
    _, heads = measure_predicted(model, points("oracle", {"keys": 1}, {"keys": 3}, {"keys": 9}), validation)
    means = heads[heads["gold"] == "dense"].groupby("setting", sort=False)[["recall", "sparsity"]].mean()
    assert means["recall"].is_monotonic_increasing and means["sparsity"].is_monotonic_decreasing
