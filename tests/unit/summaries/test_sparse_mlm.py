"""Tables of the language model under predicted attention, against numbers computed by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from run_points import DOCUMENTS, MASKED, full, job
from sparse_attention.files.tables import read_table, write_table
from sparse_attention.summaries.bootstrap import draws
from sparse_attention.summaries.registry import create
from sparse_attention.summaries.sparse_mlm import sparse_mlm_tables
from sparse_attention.summaries.sparse_mlm_jobs import read_jobs

REPLICATES = 60
DENSE = {1: (1.0, 2.0, 3.0), 2: (2.0, 2.0, 2.0)}
TRAINED = {1: (0.9, 1.9, 2.9), 2: (1.9, 1.9, 1.9)}
PREDICTED = {1: (1.4, 2.2, 3.3), 2: (2.0, 2.5, 2.1)}
INTERVAL = ["loss_increase", "loss_increase_low", "loss_increase_high"]


def jobs(seeds=(1, 2)):
    """Return full attention with entmax and softmax, two predictors, and one of them after further training."""
    made = [full(DENSE[seed], seed=seed) for seed in seeds]
    made += [full((0.5, 0.5, 0.5), attention="softmax", seed=seed) for seed in seeds]
    made += [full(TRAINED[seed], seed=seed, steps=50) for seed in seeds]
    for seed in seeds:
        made.append(job("window", {"width~1": (9.0, 9.0, 9.0)}, seed))
        made.append(job("kmeans", {"clusters~8_runs~1_top~2": PREDICTED[seed]}, seed, window=11, keep="cls+last"))
    own = {"window": 11, "keep": "cls+last", "steps": 50, "measured": (0.7, 0.6)}
    return made + [job("kmeans", {"clusters~8_runs~1_top~2": DENSE[seed]}, seed, **own) for seed in seeds]


@pytest.fixture(scope="module")
def table():
    return sparse_mlm_tables(jobs(), REPLICATES)["sparse_mlm"]


def one(table, predictor, finetuned=0, attention="entmax~1.5"):
    own = (table["predictor"] == predictor) & (table["finetuned"] == finetuned) & (table["attention"] == attention)
    return table[own].squeeze()


def test_rows_follow_the_attentions_and_the_predictors(table):
    assert table[["attention", "predictor", "finetuned"]].to_numpy().tolist() == [
        ["entmax~1.5", "full", 0],
        ["entmax~1.5", "full", 50],
        ["entmax~1.5", "window", 0],
        ["entmax~1.5", "kmeans", 0],
        ["entmax~1.5", "kmeans", 50],
        ["softmax", "full", 0],
    ]
    assert table.iloc[3][["setting", "window", "keep", "dense_empty_rows"]].tolist() == [
        "clusters~8_runs~1_top~2", 11, "cls+last", False,
    ]  # fmt: skip


def test_sizes_are_stated(table):
    sizes = table[["seeds", "blocks", "documents", "masked_tokens"]].drop_duplicates().to_numpy()
    assert sizes.tolist() == [[2, 3, 2, 60]]


def test_losses_are_means_over_masked_tokens_then_over_seeds(table):
    row, by_seed = one(table, "kmeans"), [(14 + 66 + 66) / 60, (20 + 75 + 42) / 60]
    assert row["loss"] == pytest.approx(sum(by_seed) / 2) and row["accuracy"] == pytest.approx(sum(by_seed) / 20)
    assert row["perplexity"] == pytest.approx(sum(map(math.exp, by_seed)) / 2)
    assert row["loss_ci95"] == pytest.approx(12.706204736 * abs(by_seed[0] - by_seed[1]) / 2)


def test_an_increase_is_over_full_attention_of_the_same_seed_and_blocks(table):
    assert one(table, "kmeans")["loss_increase"] == pytest.approx(((4 + 6 + 6) / 60 + (15 + 2) / 60) / 2)


def test_full_entmax_increases_by_nothing_and_softmax_is_not_compared(table):
    assert one(table, "full")[INTERVAL].tolist() == [0, 0, 0]
    assert one(table, "full", attention="softmax")[INTERVAL].isna().all()
    assert one(table, "full", finetuned=50)[INTERVAL].tolist() == [0, 0, 0]


def test_a_model_trained_further_is_compared_with_full_attention_trained_as_long(table):
    assert one(table, "full", finetuned=50)["loss"] < one(table, "full")["loss"]
    # its losses are what full attention has before, which is a tenth of a nat above what it has after
    assert one(table, "kmeans", finetuned=50)[INTERVAL].tolist() == pytest.approx([0.1, 0.1, 0.1])


@pytest.mark.parametrize("predictor", ["kmeans", "window"])
def test_intervals_resample_documents_and_seeds_together_with_full_attention(predictor, table):
    values = PREDICTED if predictor == "kmeans" else dict.fromkeys(DENSE, (9.0, 9.0, 9.0))
    masked, found = np.array(MASKED), []
    for documents, seeds in zip(draws(2, REPLICATES, stream=0), draws(2, REPLICATES, stream=1), strict=True):
        times = np.array([documents["ab".index(name)] for name in DOCUMENTS]) * masked
        of_seeds = [np.average(np.subtract(values[seed], DENSE[seed]), weights=times) for seed in DENSE]
        found.append(np.average(of_seeds, weights=seeds))
    expected = np.quantile(found, [0.025, 0.975])
    assert one(table, predictor)[INTERVAL[1:]].tolist() == pytest.approx(list(expected))
    assert expected[0] < expected[1]


def test_measures_are_means_over_layers_and_heads_for_both_gold_supports(table):
    row, tuned = one(table, "kmeans"), one(table, "kmeans", finetuned=50)
    assert [row["recall"], row["recall_dense"], row["output_error"]] == pytest.approx([0.5, 0.4, 0.5])
    assert [row["sparsity"], row["empty_queries"], row["output_error_dense"]] == pytest.approx([0.5, 0.05, 0.6])
    assert [tuned["mass_recall"], tuned["exactness_dense"]] == pytest.approx([0.7, 0.6])
    assert one(table, "full")[["sparsity", "recall", "output_error", "recall_dense"]].isna().all()


def test_the_table_by_head_has_every_head_against_both():
    rows = sparse_mlm_tables(jobs(), 0)["sparse_mlm_by_head"]
    assert len(rows) == 3 * 2 * 4 and not rows.duplicated(["predictor", "finetuned", "gold", "layer", "head"]).any()
    own = rows.query("predictor == 'kmeans' and finetuned == 50 and gold == 'dense' and layer == 1 and head == 0")
    assert own["recall"].tolist() == pytest.approx([0.605]) and own["seeds"].tolist() == [2]
    assert "edges" not in rows and "output_error" in rows and not [name for name in rows if name.endswith("_ci95")]


def test_blocks_without_masked_tokens_do_not_count():
    changed = jobs((1,))
    for made in changed:
        made.losses.loc[made.losses["block"] == 2, ["masked_tokens", "loss", "accuracy"]] = [0, np.nan, np.nan]
    row = one(sparse_mlm_tables(changed, REPLICATES)["sparse_mlm"], "kmeans")
    assert row["loss"] == pytest.approx(80 / 40) and row["loss_increase"] == pytest.approx(10 / 40)


def test_without_resamples_there_are_no_intervals():
    row = one(sparse_mlm_tables(jobs((1,)), 0)["sparse_mlm"], "kmeans")
    assert row[INTERVAL[1:]].isna().all() and row["loss_increase"] == pytest.approx(16 / 60)
    assert math.isnan(row["loss_ci95"])


def test_the_order_of_rows_in_files_does_not_matter(fabricate, tmp_path):
    files, found = fabricate.sparse_mlm(tmp_path), []
    for sign in (1, -1):
        for kind in ("full_mlm_losses", "sparse_mlm_losses"):
            for path in files[kind].paths:
                rows = read_table(path)
                # the points stay in their order, the blocks of each are reversed
                points = rows.index // rows["block"].nunique()
                write_table(rows.iloc[np.lexsort((sign * rows["block"], points))], path)
        found.append(sparse_mlm_tables(read_jobs(files), REPLICATES))
    first, again = found
    assert all(first[name].equals(again[name]) for name in first)


def test_latex_has_short_headers_and_only_columns_that_say_something(table):
    text = create("sparse_mlm").to_latex(table, {})
    assert "Predictor & Attention & Setting & Win. & Kept & Steps & PPL & $\\Delta$ loss & Spars. & Rec." in text
    assert "K-means clusters & entmax 1.5 & clusters 8, runs 1, top 2 & $11$ & cls+last & $50$ &" in text
    own = table[(table["attention"] == "entmax~1.5") & (table["finetuned"] == 0)].assign(dense_empty_rows=True)
    text = create("sparse_mlm").to_latex(own, {})
    assert "Predictor & Setting & Win. & Kept & PPL" in text and "Window, dense where empty & width 1 & $0$" in text
