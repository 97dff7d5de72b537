"""Correct runs of the language model pass; each violated invariant is reported with its file and rows."""

from __future__ import annotations

import math

import numpy as np
import pytest

from run_points import full, job
from sparse_attention.errors import InputError
from sparse_attention.files.tables import read_table, write_table
from sparse_attention.jobs.file_lists import FileList
from sparse_attention.summaries import sparse_mlm_invariants as invariants
from sparse_attention.summaries.sparse_mlm_jobs import read_jobs


@pytest.fixture
def files(fabricate, tmp_path):
    return fabricate.sparse_mlm(tmp_path)


def change(files, kind, predictor, query, **values):
    """Change the rows that fit `query` in the first table of a predictor; return its path."""
    own = files[kind]
    path = next(path for path, run in zip(own.paths, own.runs, strict=True) if run.get("predictor") == predictor)
    table = read_table(path)
    rows = table.query(query).index if query else table.index
    for name, value in values.items():
        table[name] = table[name].astype(object)
        table.loc[rows, name] = value(table.loc[rows, name]) if callable(value) else value
    write_table(table, path)
    return path


def message(files):
    with pytest.raises(InputError) as caught:
        invariants.check(read_jobs(files))
    return str(caught.value)


def test_correct_jobs_pass(files):
    invariants.check(read_jobs(files))


def test_nothing_need_be_trained_further(files):
    kinds = ("finetuned_full_mlm_losses", "finetuned_mlm_losses", "finetuned_mlm_heads")
    invariants.check(read_jobs(files | dict.fromkeys(kinds, FileList([], []))))


BLOCK = "block == 3"
LOSSES = {
    "loss missing": ("bigbird", BLOCK, {"loss": float("nan")}, "loss must be a finite number at least 0"),
    "loss infinite": ("bigbird", BLOCK, {"loss": float("inf")}, "loss must be a finite number at least 0"),
    "loss negative": ("bigbird", BLOCK, {"loss": -0.1}, "loss must be a finite number at least 0"),
    "accuracy": ("cos", BLOCK, {"accuracy": 1.2}, "accuracy must be a finite number from 0 to 1"),
    "repeated": ("cos", BLOCK, {"block": 2}, "a row must not be repeated"),
    "other masks": ("random", BLOCK, {"masked_tokens": 7}, "blocks, documents and masked_tokens must be those of "),
    "other document": ("random", BLOCK, {"document": "?"}, "blocks, documents and masked_tokens must be those of "),
    "other block": ("random", "block == 15", {"block": 99}, "blocks, documents and masked_tokens must be those of "),
    "full is worse": (
        "oracle", "setting == 'keys~32'", {"loss": lambda loss: loss - 0.3}, "must not be worse than an upper bound",
    ),
    "more is worse": (
        "oracle", "setting == 'keys~32'", {"loss": lambda loss: loss + 0.3}, "a larger budget of an upper bound",
    ),
}  # fmt: skip
HEAD = "setting == 'threshold~0.6' and gold == 'dense' and layer == 1 and head == 2"
HEADS = {
    "recall": ("cos", HEAD, {"recall": 1.2}, "recall must be from 0 to 1"),
    "mass recall missing": ("cos", HEAD, {"mass_recall": float("nan")}, "mass_recall must be from 0 to 1"),
    "output error": ("cos", HEAD, {"output_error": -0.1}, "output_error must be at least 0"),
    "output error missing": ("cos", HEAD, {"output_error": float("nan")}, "output_error must be at least 0"),
    "empty queries": ("cos", HEAD, {"empty_queries": 1.2}, "empty_queries must be from 0 to 1"),
    "other gold": ("cos", HEAD, {"gold": "true"}, "gold must be current or dense"),
    "repeated": ("cos", HEAD, {"head": 1}, "a row must not be repeated"),
    "exact but wrong": (
        "cos", HEAD.replace("dense", "current"), {"exactness": 1, "output_error": 0.01},
        "output_error must be at most 0.001 where every query is exact",
    ),
    "sparser with more keys": (
        "oracle", "setting == 'keys~32' and layer == 0 and head == 1", {"sparsity": 0.995},
        "sparsity of an upper bound must not rise as its supports grow",
    ),
    "other points": (
        "cos", "setting == 'threshold~0.6'", {"setting": "threshold~0.7"},
        "every point of the losses must have a row for each gold support and head",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", LOSSES)
def test_losses_that_cannot_be_are_refused(case, files):
    predictor, query, values, rule = LOSSES[case]
    path = change(files, "sparse_mlm_losses", predictor, query, **values)
    found = message(files)
    assert "the language model under predicted attention violates invariants" in found
    assert path in found and rule in found and "violated in: setting " in found


@pytest.mark.parametrize("case", HEADS)
def test_heads_that_cannot_be_are_refused(case, files):
    predictor, query, values, rule = HEADS[case]
    path = change(files, "sparse_mlm_heads", predictor, query, **values)
    found = message(files)
    assert f"{path}: {rule}; violated in: setting " in found


def test_finetuned_jobs_are_checked_too(files):
    path = change(files, "finetuned_mlm_losses", "kmeans", "", masked_tokens=1)
    assert f"{path}: blocks, documents and masked_tokens" in message(files)


def test_full_attention_is_checked_and_named_once(files):
    path = files["full_mlm_losses"].paths[0]
    write_table(read_table(path).assign(accuracy=-1), path)
    found = message(files)
    assert f"{path}: accuracy must be a finite number from 0 to 1" in found and found.count("violated in") == 1


def test_a_missing_full_attention_is_named(files):
    own = files["full_mlm_losses"]
    files["full_mlm_losses"] = FileList(own.paths[1:], own.runs[1:])
    assert "full attention of entmax~1.5, seed 1, is missing" in message(files)


def test_without_exactness_on_current_activations_outputs_may_differ(files):
    """The dense model's heads read other values, so their outputs differ even where the support covers theirs."""
    change(files, "sparse_mlm_heads", "cos", HEAD, exactness=1, output_error=0.4)
    invariants.check(read_jobs(files))


def test_a_predictor_that_is_no_bound_may_be_better_than_full_attention(files):
    change(files, "sparse_mlm_losses", "cos", "", loss=0.5)
    change(files, "sparse_mlm_losses", "window", "setting == 'width~25'", loss=9.5)
    invariants.check(read_jobs(files))


def test_a_bound_after_further_training_may_be_better_than_full_attention():
    made = full((3.0, 3.0, 3.0)), job("oracle", {"keys~2": (1.0, 1.0, 1.0)}, steps=10)
    invariants.check([*made, full((3.0, 3.0, 3.0), steps=10)])
    with pytest.raises(InputError, match="full attention of entmax~1.5, seed 1, trained further for 10 steps, is"):
        invariants.check(made)
    with pytest.raises(InputError, match="must not be worse than an upper bound"):
        invariants.check([made[0], job("oracle", {"keys~2": (1.0, 1.0, 1.0)})])


def test_differences_within_the_interval_and_small_ones_are_no_violation():
    """The differences of the two documents are -0.2 and 0.5, then both 0.004."""
    for values in ((2.8, 2.8, 3.5), (2.996, 2.996, 2.996)):
        invariants.check([full((3.0, 3.0, 3.0)), job("oracle", {"keys~2": values})])


def test_budgets_rise_with_supports_and_settings_beside_them_stay_apart():
    one = job("random", {"sparsity~0.9": (1, 1, 1), "sparsity~0.5": (1, 1, 1), "sparsity~0.7": (1, 1, 1)})
    assert invariants.budgets(one)["setting"].tolist() == ["sparsity~0.9", "sparsity~0.7", "sparsity~0.5"]
    both = job("bigbird", {"random_keys~3": (1, 1, 1), "random_keys~1,2": (1, 1, 1), "random_keys~1": (1, 1, 1)})
    assert invariants.budgets(both)["setting"].tolist() == ["random_keys~1", "random_keys~3"]


def test_a_difference_is_paired_and_weighted_by_masked_tokens():
    """Documents of 40 and 20 masked tokens, with mean differences of 0.25 and 0.3."""
    found = invariants.difference(full((1.4, 2.2, 3.3)).losses, full((1.0, 2.0, 3.0)).losses)
    assert found.mean == pytest.approx(16 / 60)
    residuals = [10 - 40 * 16 / 60, 6 - 20 * 16 / 60]
    error = math.sqrt(2 * sum(value**2 for value in residuals)) / 60
    assert found.half == pytest.approx(12.706204736 * error)


def test_documents_of_equal_weight_have_the_usual_standard_error():
    ours, theirs = (full((1.0,) * 3).losses.iloc[[0] * 50] for _ in range(2))
    names, values = [f"{number}" for number in range(50)], np.random.default_rng(0).normal(size=50)
    found = invariants.difference(ours.assign(document=names, loss=values), theirs.assign(document=names, loss=0.0))
    assert found.half == pytest.approx(2.009575237 * values.std(ddof=1) / math.sqrt(50))


def test_a_single_document_is_judged_by_its_blocks_and_a_single_block_not_at_all():
    ours, theirs = (full(values).losses.iloc[:2] for values in ((1.4, 2.2, 0), (1.0, 2.0, 0)))
    assert ours["document"].nunique() == 1
    found = invariants.difference(ours, theirs)
    assert found.mean == pytest.approx(0.25) and 0 < found.half < math.inf
    alone = invariants.difference(ours.iloc[:1], theirs.iloc[:1])
    assert alone.mean == pytest.approx(0.4) and alone.half == math.inf and not alone.is_worse
