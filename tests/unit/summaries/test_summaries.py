"""Means, intervals, fronts and tables against plain computations."""

import statistics

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from sparse_attention.files.tables import read_table
from sparse_attention.jobs.file_lists import FileList
from sparse_attention.summaries import latex, pareto
from sparse_attention.summaries.base import Inputs
from sparse_attention.summaries.predictors import METRICS, predictor_tables
from sparse_attention.summaries.reading import read_runs
from sparse_attention.summaries.registry import create
from sparse_attention.summaries.statistics import over_seeds
from sparse_attention.summaries.tables.masked_lm import masked_lm_table
from sparse_attention.summaries.wording import count, spell


def test_mean_and_interval_are_those_of_student():
    values = [0.31, 0.35, 0.28, 0.4]
    frame = pd.DataFrame({"who": "a", "seed": range(4), "recall": values})
    row = over_seeds(frame, ["who"], ["recall"]).iloc[0]
    low, high = scipy.stats.t.interval(0.95, 3, statistics.mean(values), scipy.stats.sem(values))
    assert row["seeds"] == 4
    assert row["recall"] == pytest.approx(statistics.mean(values))
    assert row["recall_ci95"] == pytest.approx((high - low) / 2)


def test_one_seed_has_no_interval_and_missing_values_are_left_out():
    frame = pd.DataFrame({"who": list("aabb"), "seed": [1, 2, 1, 2], "recall": [0.2, np.nan, 0.1, 0.3]})
    table = over_seeds(frame, ["who"], ["recall"]).set_index("who")
    assert table.loc["a", "recall"] == 0.2 and np.isnan(table.loc["a", "recall_ci95"])
    assert table.loc["b", "recall"] == pytest.approx(0.2) and table.loc["b", "recall_ci95"] > 0


def test_groups_keep_the_order_in_which_they_appear():
    frame = pd.DataFrame({"who": ["z", "a", "m"], "seed": 1, "recall": 0.5})
    assert list(over_seeds(frame, ["who"], ["recall"])["who"]) == ["z", "a", "m"]


def dominated(points, index):
    x, y = points[index]
    return any(a >= x and b >= y and (a > x or b > y) for a, b in points)


@pytest.fixture(scope="module")
def evaluated(fabricate, tmp_path_factory):
    paths, runs = fabricate.evaluations(tmp_path_factory.mktemp("evaluated"), seeds=(1, 2, 3))
    return paths, runs, predictor_tables(paths, runs)


def test_metrics_are_averaged_over_heads_within_a_seed_and_then_over_seeds(evaluated):
    paths, runs, tables = evaluated
    table = tables["predictors"]
    assert len(table) == 11 * 2
    for metric in METRICS:
        means = []
        for path, run in zip(paths, runs, strict=True):
            if run["predictor"] == "kmeans":
                rows = pd.read_csv(path, sep="\t").query("point == 'clusters~8_runs~1_top~2' and window == 11")
                means.append(rows[metric].mean())
        row = table.query("point == 'clusters~8_runs~1_top~2' and window == 11").iloc[0]
        assert row[metric] == pytest.approx(np.mean(means))
        half = scipy.stats.t.ppf(0.975, 2) * np.std(means, ddof=1) / np.sqrt(3)
        assert row[f"{metric}_ci95"] == pytest.approx(half)
    assert set(table["seeds"]) == {3} and set(table["examples"]) == {32}


def test_pairs_of_blocks_have_a_table_of_their_own(fabricate, tmp_path):
    paths, runs = fabricate.evaluations(tmp_path)
    assert predictor_tables(paths, runs)["predictors_by_block"].empty
    place = [run["predictor"] for run in runs].index("kmeans")
    tokens = pd.read_csv(paths[place], sep="\t")
    blocks = tokens.assign(grid="block", recall=tokens["recall"] / 2)
    pd.concat([tokens, blocks]).to_csv(paths[place], sep="\t", index=False)
    tables = predictor_tables(paths, runs)
    by_token = tables["predictors"].query("predictor == 'kmeans'").reset_index(drop=True)
    by_block = tables["predictors_by_block"]
    assert len(tables["predictors"]) == 11 * 2 and set(by_block["predictor"]) == {"kmeans"}
    assert list(by_block.columns) == list(by_token.columns)
    np.testing.assert_allclose(by_block["recall"], by_token["recall"] / 2, rtol=1e-6)


def test_heads_are_averaged_over_seeds(evaluated):
    paths, runs, tables = evaluated
    chosen = "predictor == 'cos' and point == 'threshold~0.1' and window == 0 and layer == 1 and head == 2"
    row = tables["predictors_by_head"].query(chosen).iloc[0]
    values = [
        pd.read_csv(path, sep="\t")
        .query("point == 'threshold~0.1' and window == 0 and layer == 1 and head == 2")["recall"]
        .item()
        for path, run in zip(paths, runs, strict=True)
        if run["predictor"] == "cos"
    ]
    assert row["recall"] == pytest.approx(np.mean(values)) and row["seeds"] == 3


def test_fronts_are_those_of_each_window_and_of_all(evaluated):
    *_, tables = evaluated
    points, fronts = tables["predictors"], tables["pareto"]
    assert set(fronts["windows"]) == {"0", "11", "all"} and set(fronts["metric"]) == set(pareto.METRICS)
    for windows, competing in [("0", points.query("window == 0")), ("all", points)]:
        real = competing[competing["bound"].isna()]
        pairs = real[["sparsity", "recall"]].to_numpy()
        expected = {tuple(pair) for index, pair in enumerate(pairs) if not dominated(pairs, index)}
        overall = fronts[(fronts["front"] == "overall") & (fronts["windows"] == windows)]
        found = overall[overall["metric"] == "recall"]
        assert {tuple(pair) for pair in found[["sparsity", "value"]].to_numpy()} == expected
    own = fronts.query("front == 'predictor' and predictor == 'kmeans' and windows == '0' and metric == 'recall'")
    assert list(own["point"]) == ["clusters~8_runs~1_top~2", "clusters~8_runs~1_top~1"]
    assert {"oracle", "random"} <= set(fronts.query("front == 'predictor'")["predictor"])


def test_bounds_are_marked_and_labels_default_to_names(fabricate, tmp_path):
    paths, runs = fabricate.evaluations(tmp_path)
    bare = [{key: value for key, value in run.items() if key != "label"} for run in runs]
    table = predictor_tables(paths, bare)["predictors"].set_index("predictor")
    assert set(table.loc["oracle", "bound"]) == {"upper"} and set(table.loc["random", "bound"]) == {"lower"}
    assert table.loc["cos", "bound"].isna().all() and set(table.loc["cos", "label"]) == {"cos"}


def test_in_all_other_tables_only_the_grid_of_tokens_counts(fabricate, tmp_path):
    paths, runs = fabricate.evaluations(tmp_path)
    before = predictor_tables(paths, runs)
    for path in paths:
        tokens = read_table(path)
        blocks = tokens.assign(grid="block", recall=0.123, sparsity=0.5)
        pd.concat([blocks, tokens]).to_csv(path, sep="\t", index=False)
    after = predictor_tables(paths, runs)
    assert len(after.pop("predictors_by_block")) == len(before["predictors"])
    for name, table in after.items():
        pd.testing.assert_frame_equal(table, before[name])


def test_an_input_without_a_column_is_named(fabricate, tmp_path):
    paths, runs = fabricate.evaluations(tmp_path)
    pd.read_csv(paths[0], sep="\t").drop(columns="exactness").to_csv(paths[0], sep="\t", index=False)
    with pytest.raises(ValueError, match=r"all\.tsv: columns \['exactness'\] are missing"):
        predictor_tables(paths, runs)


def test_models_have_the_distance_to_the_unigram_loss(fabricate, tmp_path):
    made = fabricate.models(tmp_path, seeds=(1, 2))
    evaluations = read_runs(made.evaluation, made.runs, ["stage"])
    table = masked_lm_table(evaluations, read_runs(made.sparsity, made.runs, ["layer"]))
    losses = evaluations.query("attention == 'softmax' and stage == 'after'")["loss"]
    row = table.query("attention == 'softmax' and stage == 'after'").iloc[0]
    assert row["nats_below_unigram"] == pytest.approx(7.3 - losses.mean()) and row["seeds"] == 2
    assert row["gold_sparsity"] == 0
    assert table.query("stage == 'before'")["gold_sparsity"].isna().all()
    assert table.query("attention == 'entmax~1.5' and stage == 'after'")["gold_sparsity"].item() == pytest.approx(0.956)


def test_corpus_joins_documents_and_blocks(fabricate, tmp_path):
    documents, blocks = (FileList([path], [{}]) for path in fabricate.corpus(tmp_path))
    files = {"documents_of_text": documents, "blocks_of_text": blocks}
    table = create("corpus").make(Inputs({}, files), {})
    assert list(table["split"]) == ["train", "validation", "test"]
    assert {"documents", "characters_median", "tokens", "tokens_median", "blocks"} <= set(table.columns)


@pytest.mark.parametrize(
    "text, expected",
    [("a_b & 5%", r"a\_b \& 5\%"), ("x~y^z\\", r"x\textasciitilde{}y\textasciicircum{}z\textbackslash{}")],
)
def test_latex_is_escaped(text, expected):
    assert latex.escape(text) == expected


def test_latex_tables_are_rectangular(tables_of_seeds):
    for name in ("masked_lm", "predictors_at_sparsity", "areas"):
        text = (tables_of_seeds / f"{name}.tex").read_text()
        assert text.count(r"\toprule") == text.count(r"\midrule") == text.count(r"\bottomrule") == 1
        body = [line for line in text.splitlines() if line.endswith(r"\\") and "multicolumn" not in line]
        assert len({line.count("&") for line in body}) == 1 and r"\pm" in text
    assert read_table(tables_of_seeds / "predictors_at_sparsity.tsv")["recall_ci95"].notna().any()


@pytest.mark.parametrize(
    "segment, text",
    [
        ("entmax~1.5", "entmax 1.5"),
        ("kind~none", ""),
        ("kind~linear_dim~4_shared~true", "linear, dim 4, shared"),
        ("kind~mlp_dim~4_hidden~32_shared~false", "mlp, dim 4, hidden 32, separate"),
        ("bucket_size~4_temperature~1", "bucket size 4, temperature 1"),
        ("kind~none_block_size~4", "block size 4"),
        (
            "kind~linear_dim~4_shared~true_block_size~4_concat~true",
            "linear, dim 4, shared, block size 4, query and key together",
        ),
        ("softmax", "softmax"),
    ],
)
def test_segments_are_written_for_readers(segment, text):
    assert spell(segment) == text


def test_counts_agree_with_their_noun():
    assert [count(1, "seed"), count(3, "seed")] == ["1 seed", "3 seeds"]
