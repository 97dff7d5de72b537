"""Sentences on the language model under predicted attention agree with the table, and each needs its rows."""

from __future__ import annotations

import pandas as pd
import pytest

from sparse_attention.files.tables import read_table, write_table
from sparse_attention.predictors.registry import discover
from sparse_attention.reporting import sparse_mlm

NAN = float("nan")


def row(predictor, setting, increase, sparsity, half=0.01, **changes):
    """Return a row of the table `sparse_mlm`, in which full attention has a loss of 5."""
    facts = {"label": "Full attention", "bound": None} if predictor == "full" else discover()[predictor].facts
    named = {
        "attention": "entmax~1.5",
        "predictor": predictor,
        "label": facts["label"],
        "bound": facts["bound"] or None,
    }
    named |= {"projection": "kind~none", "setting": setting, "window": 0, "keep": "none", "dense_empty_rows": False}
    sizes = {"finetuned": 0, "seeds": 1, "blocks": 64, "documents": 16}
    values = {"loss": 5 + increase, "loss_ci95": NAN, "perplexity": 148 + 100 * increase, "loss_increase": increase}
    values |= {"loss_increase_low": increase - half, "loss_increase_high": increase + half, "sparsity": sparsity}
    measured = {"mass_recall": 0.75, "mass_recall_dense": 0.5, "empty_queries": 0.25}
    return named | sizes | values | measured | changes


FULL = row("full", None, 0.0, NAN, mass_recall=NAN, mass_recall_dense=NAN, empty_queries=NAN)
KMEANS = row("kmeans", "clusters~16_runs~1_top~1", 0.5, 0.95)
COS = row("cos", "threshold~0.5", 0.7, 0.94)
ORACLE = row("oracle", "keys~8", 0.1, 0.96)
RANDOM = row("random", "sparsity~0.95", 2.5, 0.95)


def sentences(function, tmp_path, *rows):
    """Return the sentences on a table that was written and read, with ordinary spaces in place of no-break spaces."""
    write_table(pd.DataFrame(rows), tmp_path / "table.tsv")
    return [text.replace("\N{NO-BREAK SPACE}", " ") for text in function(read_table(tmp_path / "table.tsv"))]


def test_the_cheapest_predictor_stands_beside_full_attention_and_the_bounds(tmp_path):
    assert sentences(sparse_mlm.language_model, tmp_path, FULL, ORACLE, RANDOM, COS, KMEANS) == [
        "With full attention the model has a loss of 5.00 nats per masked token (perplexity 148) on 64 blocks of 16 "
        "documents of the validation split.",
        "At about 95 % sparsity K-means clusters costs the model least: 0.50 nats more (95 % interval 0.49 to 0.51) at "
        "95.0 %, which makes the perplexity 198. Next is Cosine distance with 0.70 at 94.0 %.",
        "There, choosing the keys by their true scores (Oracle top-k, 96.0 % sparsity) costs 0.10 nats, 0.40 less than "
        "K-means clusters.",
        "There, choosing pairs at random (Random, 95.0 % sparsity) costs 2.50 nats, 2.00 more than K-means clusters.",
    ]  # fmt: skip


def test_overlapping_intervals_are_not_ranked(tmp_path):
    close = row("cos", "threshold~0.5", 0.52, 0.94, half=0.03)
    found = sentences(sparse_mlm.language_model, tmp_path, FULL, close, KMEANS)
    assert found[1].endswith("with 0.52 at 94.0 %; their intervals overlap, so this run cannot rank them.")
    unknown = [row(*args, half=NAN) for args in (("cos", "threshold~0.5", 0.52, 0.94), ("kmeans", "top~1", 0.5, 0.95))]
    found = sentences(sparse_mlm.language_model, tmp_path, FULL, *unknown)
    assert "0.50 nats more at 95.0 %" in found[1] and "interval" not in found[1]


def test_points_of_one_predictor_are_told_apart(tmp_path):
    other = row("kmeans", "clusters~8_runs~1_top~1", 0.6, 0.8, window=11, keep="cls+last")
    found = sentences(sparse_mlm.language_model, tmp_path, FULL, COS, KMEANS, other)
    assert "sparsity K-means clusters (clusters 16, runs 1, top 1) costs" in found[1]
    alone = sentences(sparse_mlm.language_model, tmp_path, FULL, other, row("cos", "threshold~0.5", 0.7, 0.8))
    assert "80 % sparsity K-means clusters (window 11; first and last token kept) costs" in alone[1]


def test_without_two_predictors_at_one_sparsity_the_cheapest_point_is_named(tmp_path):
    found = sentences(sparse_mlm.language_model, tmp_path, FULL, ORACLE, KMEANS, row("cos", "threshold~1", -0.02, 0.5))
    assert found[1:] == [
        "Of all points, Cosine distance costs least: 0.02 nats less (95 % interval -0.03 to -0.01) at 50 % sparsity."
    ]


def test_rows_of_other_ways_are_not_compared(tmp_path):
    """Queries that see all keys, and further training, are no property of a predictor."""
    better = [COS | {"dense_empty_rows": True, "loss_increase": 0.1}, COS | {"finetuned": 9, "loss_increase": 0.1}]
    rows = [FULL, COS, KMEANS]
    expected = sentences(sparse_mlm.language_model, tmp_path, *rows)
    assert sentences(sparse_mlm.language_model, tmp_path, *rows, *better) == expected


def test_only_bounds_or_only_full_attention_leave_little_to_say(tmp_path):
    assert len(sentences(sparse_mlm.language_model, tmp_path, FULL, ORACLE, RANDOM)) == 1
    assert sentences(sparse_mlm.language_model, tmp_path, FULL) == []
    assert sentences(sparse_mlm.details, tmp_path, FULL, ORACLE) == []


def test_seeing_only_itself_is_stated_without_other_keys(tmp_path):
    alone = row("window", "width~1", 2.345, 0.996, mass_recall_dense=NAN)
    found = sentences(sparse_mlm.details, tmp_path, FULL, alone)
    assert found == [
        "If every token sees only itself (window of 1), the model loses 2.35 nats: so much does it owe to attention."
    ]
    for other in ({"window": 11}, {"keep": "cls"}, {"setting": "width~11"}):
        assert sentences(sparse_mlm.details, tmp_path, FULL, alone | other) == []


def test_both_mass_recalls_of_the_cheapest_predictor_are_stated(tmp_path):
    found = sentences(sparse_mlm.details, tmp_path, FULL, ORACLE, COS, KMEANS)
    assert found == [
        "Errors of one layer reach the next: K-means clusters keeps 75 % of the attention probability on the "
        "activations that reach each layer, and 50 % of that of the model with full attention in all layers."
    ]


def test_the_largest_effect_of_dense_empty_rows_is_stated(tmp_path):
    pairs = [COS, COS | {"dense_empty_rows": True, "loss": 5.3, "loss_increase": 0.3},
             KMEANS, KMEANS | {"dense_empty_rows": True}]  # fmt: skip
    found = sentences(sparse_mlm.details, tmp_path, FULL, *pairs)[1]
    assert found.startswith(
        "Letting queries without keys see all keys, as the published code does, changes the loss most for Cosine "
        "distance (threshold 0.5), where 25 % of the queries have none: by -0.40 nats, from 5.70 to 5.30. This hides"
    )
    full = [pair | {"empty_queries": 0.0} for pair in pairs]
    assert sentences(sparse_mlm.details, tmp_path, FULL, *full)[1] == (
        "Letting queries without keys see all keys changes nothing: at the points compared there are none."
    )


def test_what_further_training_recovers_is_stated(tmp_path):
    tuned = [KMEANS | {"finetuned": 200, "loss": 4.9, "loss_increase": 0.1}]
    tuned.append(COS | {"finetuned": 200, "loss": 4.75, "loss_increase": -0.05})
    found = sentences(sparse_mlm.details, tmp_path, FULL, FULL | {"finetuned": 200, "loss": 4.8}, KMEANS, COS, *tuned)
    assert found[1:] == [
        "After 200 steps of further training with its support, K-means clusters (clusters 16, runs 1, top 1) has a "
        "loss of 4.90 instead of 5.50. Over full attention that is trained as long, it costs 0.10 nats instead of 0.50 "
        "(80 % of it recovered).",
        "After 200 steps of further training with its support, Cosine distance (threshold 0.5) has a loss of 4.75 "
        "instead of 5.70. Over full attention that is trained as long, it costs -0.05 nats instead of 0.70.",
        "Full attention itself goes from 5.00 to 4.80 in these steps.",
    ]
    assert len(sentences(sparse_mlm.details, tmp_path, FULL, tuned[0])) == 0


@pytest.mark.parametrize("function", [sparse_mlm.language_model, sparse_mlm.details], ids=["main", "details"])
def test_several_attentions_are_named_and_softmax_alone_is_not(function, tmp_path):
    softmax = FULL | {"attention": "softmax", "loss_increase": NAN}
    one = sentences(function, tmp_path, FULL, KMEANS, softmax)
    assert not [text for text in one if text.startswith("For ")]
    other = [own | {"attention": "entmax~2"} for own in (FULL, KMEANS)]
    both = sentences(function, tmp_path, FULL, KMEANS, *other, softmax)
    assert len(both) == 2 * len(one)
    assert [text.split(":")[0] for text in both if text.startswith("For ")] == ["For entmax 1.5", "For entmax 2"]
