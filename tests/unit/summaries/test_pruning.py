"""Tables of the pruned classifiers against plain counting on a few made-up functions."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import summarise_pruning
from sparse_attention.files.tables import read_table, write_table
from sparse_attention.jobs.file_lists import FileList
from sparse_attention.metrics.classification import classification_metrics
from sparse_attention.summaries import pruning
from sparse_attention.summaries.bootstrap import draws
from sparse_attention.summaries.pruning import METRICS
from sparse_attention.summaries.registry import discover
from sparse_attention.summaries.tables.pruning_layers import layers_table
from sparse_attention.summaries.tables.pruning_training import MEASURED, pruning_training_table
from sparse_attention.summaries.tables.thresholds import thresholds_table

FUNCTIONS = [3, 8, 9, 14, 20, 21, 30, 31, 40, 41]
LABELS = [1, 0, 0, 1, 0, 1, 0, 0, 1, 0]
TOKENS = [10, 20, 8, 40, 40, 5, 16, 12, 30, 10]
WAYS = {"dense": ("masked", "dropped"), "hard": ("masked", "dropped"), "text": ("dropped",)}
SHARES = {"dense": (1.0, 1.0), "hard": (0.5, 0.25), "text": (0.4, 0.4)}
KEYS = ["pruning", "system", "way"]


def frames(prunings=("A", "B"), seeds=(1, 2)):
    """Return predictions and kept tokens: in A hard says what dense says, way by way; text has fewer tokens at once."""
    predictions, kept = [], []
    for place, name in enumerate(prunings):
        for seed in seeds:
            for system, ways in WAYS.items():
                same = "dense" if system == "hard" and name == "A" else system
                for way in ways:
                    entropy = [seed, list(WAYS).index(same), place * (same != "dense"), way == "dropped"]
                    probabilities = np.random.default_rng(entropy).random(len(FUNCTIONS))
                    for number, function in enumerate(FUNCTIONS):
                        tokens = TOKENS[number] * (0.4 if system == "text" else 1)
                        gflops = 3.0 if way == "masked" else 3 * SHARES[system][1] + 0.1 * seed + 0.01 * number
                        one = {"pruning": name, "seed": seed, "system": system, "way": way, "function": function}
                        said = {"label": LABELS[number], "probability": probabilities[number], "tokens": tokens}
                        predictions.append(one | said | {"gflops": gflops, "dense_gflops": 3.0 + number})
                        for layer, share in enumerate(SHARES[system]):
                            left = TOKENS[number] * (share if place == 0 or system == "text" else share**0.5)
                            kept.append(one | {"layer": layer, "kept": left * (0.9 if seed == 2 else 1)})
    # rows need not be in the order of the functions
    return pd.DataFrame(predictions).sample(frac=1, random_state=0), pd.DataFrame(kept)


@pytest.fixture(scope="module")
def tables():
    return pruning.quality_tables(*frames(), replicates=30)


def metrics_of(predictions, name, system, way, times=None):
    """Return the metrics of each seed, by explicit repetition of functions."""
    own = predictions.query("pruning == @name and system == @system and way == @way")
    found = []
    for _, rows in own.groupby("seed"):
        rows = rows.sort_values("function")
        repeats = 1 if times is None else times
        labels, probabilities = (np.repeat(rows[column].to_numpy(), repeats) for column in ("label", "probability"))
        found.append(list(classification_metrics(labels, probabilities).values()))
    return np.array(found)


def test_quality_has_a_row_for_each_system_and_way(tables):
    quality, gains = tables
    systems = [(system, way) for system, ways in WAYS.items() for way in ways]
    expected = {(name, *each) for name in "AB" for each in systems}
    assert {tuple(row) for row in quality[KEYS].to_numpy()} == expected and len(quality) == len(expected)
    assert set(quality["seeds"]) == {2} and set(quality["functions"]) == {10} and set(quality["positive"]) == {4}
    assert {tuple(row) for row in gains[[*KEYS, "metric"]].to_numpy()} == {
        (*each, metric) for each in expected for metric in METRICS if each[1] != "dense"
    }
    assert set(gains["seeds"]) == {2} and set(gains["functions"]) == {10}


def test_metrics_are_means_over_seeds(tables):
    predictions, _ = frames()
    for row in tables[0].to_dict("records"):
        expected = metrics_of(predictions, row["pruning"], row["system"], row["way"]).mean(0)
        assert [row[metric] for metric in METRICS] == pytest.approx(list(expected))
        for metric in METRICS:
            assert row[f"{metric}_low"] <= row[metric] <= row[f"{metric}_high"]


def test_a_gain_is_the_difference_to_dense(tables):
    quality, gains = tables
    values = quality.set_index(KEYS)
    for row in gains.to_dict("records"):
        own, dense = (values.loc[(row["pruning"], system, row["way"])] for system in (row["system"], "dense"))
        assert row["gain"] == pytest.approx(own[row["metric"]] - dense[row["metric"]], abs=1e-12)
    assert (gains["gain"].abs() > 0.05).any() and "dense" not in set(gains["system"])


def test_a_system_with_the_dense_predictions_gains_exactly_zero(tables):
    same = tables[1].query("pruning == 'A' and system == 'hard'")
    assert len(same) == 2 * len(METRICS) and (same[["gain", "gain_low", "gain_high"]] == 0).all(axis=None)
    other = tables[1].query("pruning == 'B' and system == 'hard'")
    assert (other["gain_low"] < other["gain_high"]).all()


@pytest.mark.parametrize(("name", "system"), [("B", "hard"), ("A", "text")], ids=["hard", "text"])
def test_intervals_pair_both_classifiers_on_the_same_functions_and_seeds(name, system, tables):
    predictions, _ = frames()
    found = []
    for functions, seeds in zip(draws(10, 30, stream=0), draws(2, 30, stream=1), strict=True):
        own, dense = (metrics_of(predictions, name, each, "dropped", functions) for each in (system, "dense"))
        found.append(np.stack([seeds @ (own - dense), seeds @ own]) / 2)
    low, high = np.nanquantile(np.array(found), [0.025, 0.975], axis=0)
    gains = tables[1].query("pruning == @name and system == @system and way == 'dropped'").set_index("metric")
    row = tables[0].query("pruning == @name and system == @system and way == 'dropped'").iloc[0]
    for place, metric in enumerate(METRICS):
        assert gains.loc[metric, ["gain_low", "gain_high"]].tolist() == pytest.approx([low[0, place], high[0, place]])
        assert [row[f"{metric}_low"], row[f"{metric}_high"]] == pytest.approx([low[1, place], high[1, place]])


def test_kept_shares_are_of_the_tokens_before_any_was_left_out(tables):
    """Seed 2 keeps nine tenths of what seed 1 keeps."""
    shares = tables[0].set_index(KEYS)["kept_share"]
    for (name, system, _), found in shares.items():
        of_layers = [share if name == "A" or system == "text" else share**0.5 for share in SHARES[system]]
        assert found == pytest.approx(np.mean(of_layers) * 0.95)


def test_costs_have_students_intervals_over_seeds(tables):
    """Two seeds whose values are 1 and 0.9: 12.7 times half their distance."""
    for row in tables[0].to_dict("records"):
        share = row["kept_share"] / 0.95
        assert row["kept_share_ci95"] == pytest.approx(12.706204736 * 0.05 * share)
        wide = 0 if row["way"] == "masked" else 12.706204736 * 0.05
        assert row["gflops_ci95"] == pytest.approx(wide, abs=1e-9)
        assert row["relative_flops_ci95"] == pytest.approx(wide / 7.5, abs=1e-9)


def test_costs_are_relative_to_the_dense_ones_of_the_same_functions(tables):
    quality = tables[0].set_index(KEYS)
    for (_, system, way), row in quality.iterrows():
        expected = 3.0 if way == "masked" else 3 * SHARES[system][1] + 0.15 + 0.045
        assert row["gflops"] == pytest.approx(expected)
        assert row["relative_flops"] == pytest.approx(expected / 7.5)


def test_without_resamples_and_with_one_seed_there_are_no_intervals():
    quality, gains = pruning.quality_tables(*frames(("B",), (1,)), replicates=0)
    assert quality[[f"{metric}_{end}" for metric in METRICS for end in ("low", "high")]].isna().all(axis=None)
    assert gains[["gain_low", "gain_high"]].isna().all(axis=None) and gains["gain"].notna().all()
    assert quality[[f"{cost}_ci95" for cost in pruning.COSTS]].isna().all(axis=None)
    assert set(quality["seeds"]) == {1}


def test_layers_have_the_share_that_they_leave_of_whole_functions():
    predictions, kept = frames()
    table = layers_table(kept, predictions)
    assert len(table) == 2 * 5 * 2 and set(table["seeds"]) == {2}
    for row in table.to_dict("records"):
        share = SHARES[row["system"]][row["layer"]]
        share = share if row["pruning"] == "A" or row["system"] == "text" else share**0.5
        assert row["kept_share"] == pytest.approx(0.95 * share)
        # Student's t of two seeds is 12.7062, and the deviation over the root of two is half the difference
        assert row["kept_share_ci95"] == pytest.approx(12.706204736 * 0.05 * share)
    alone = layers_table(*(frame[frame["seed"] == 1] for frame in (kept, predictions)))
    assert alone["kept_share_ci95"].isna().all() and set(alone["seeds"]) == {1}


def test_thresholds_have_the_difference_to_their_start():
    rows = [
        ("A", 1, 0, 0.01, 0.03, 0.9), ("A", 1, 1, 0.02, 0.01, 0.6), ("B", 1, 0, 0.5, 0.5, 1.0),
        ("A", 2, 0, 0.01, 0.05, 0.7), ("A", 2, 1, 0.02, 0.02, 0.4), ("B", 2, 0, 0.5, 0.4, 1.0),
    ]  # fmt: skip
    names = ["pruning", "seed", "layer", "before", "after", "kept"]
    table = thresholds_table(pd.DataFrame(rows, columns=names))
    assert table[["pruning", "layer", "seeds"]].to_numpy().tolist() == [["A", 0, 2], ["A", 1, 2], ["B", 0, 2]]
    expected = [[0.01, 0.04, 0.03, 0.8], [0.02, 0.015, -0.005, 0.5], [0.5, 0.45, -0.05, 1.0]]
    np.testing.assert_allclose(table[["before", "after", "moved", "kept"]], expected)
    np.testing.assert_allclose(table["moved_ci95"], table["after_ci95"], atol=1e-12)


def test_training_is_averaged_over_the_seeds_of_a_step():
    names = ["pruning", "seed", "stage", "phase", "step", *MEASURED]
    rows = [
        ("", 1, "dense", "train", 5, 0.6, np.nan, np.nan, np.nan, 1.0, np.nan),
        ("", 2, "dense", "train", 5, 0.8, np.nan, np.nan, np.nan, 1.0, np.nan),
        ("A", 1, "soft", "validation", 10, 0.4, 0.8, 0.7, 0.9, 0.5, 0.01),
        ("A", 2, "soft", "validation", 10, 0.2, 0.9, 0.8, np.nan, 0.3, 0.01),
        ("A", 1, "hard", "validation", 10, 0.1, 0.7, 0.6, 0.5, 0.4, np.nan),
    ]
    table = pruning_training_table(pd.DataFrame(rows, columns=names))
    assert table[["pruning", "stage", "phase", "step", "seeds"]].to_numpy().tolist() == [
        ["", "dense", "train", 5, 2], ["A", "soft", "validation", 10, 2], ["A", "hard", "validation", 10, 1],
    ]  # fmt: skip
    nan = np.nan
    expected = [[0.7, nan, nan, nan, 1, nan], [0.3, 0.85, 0.75, 0.9, 0.4, 0.01], [0.1, 0.7, 0.6, 0.5, 0.4, nan]]
    np.testing.assert_allclose(table[list(MEASURED)], expected)
    assert "temperature_ci95" not in table and table["loss_ci95"].isna().tolist() == [False, False, True]


def summarised(folder, fabricate, soft):
    """Make all tables of one seed of one pruning, with or without a soft stage."""
    predictions, kept = (frame.query("pruning == 'B' and seed == 1") for frame in frames())
    thresholds = pd.DataFrame([(0, 0.1, 0.2, 0.5)], columns=["layer", "before", "after", "kept"])
    training = pd.DataFrame([(1, "train", *range(6))], columns=["step", "phase", *MEASURED])
    given = {"predictions": predictions, "kept": kept, "thresholds": thresholds, "pruning_training": training}
    for name, frame in given.items():
        write_table(frame.drop(columns=["pruning", "seed"], errors="ignore"), folder / f"{name}.tsv")
    run = {"pruning": "mode~b", "seed": 1}
    files = {name: FileList([str(folder / f"{name}.tsv")], [run]) for name in given}
    files["pruning_training"] = FileList(files["pruning_training"].paths, [{**run, "stage": "hard"}])
    if not soft:
        files["thresholds"] = FileList([], [])
    tables = {name: folder / "out" / f"{name}.tsv" for name in ("pruning", "pruning_gains")}
    summarise_pruning.main(
        fabricate.job(
            input={name: list(files[name].paths) for name in ("predictions", "kept")},
            output=tables,
            params={"runs": [run], "replicates": 5},
        )
    )
    for name in ("pruning_layers", "thresholds", "pruning_training"):
        needs = {kind: files[kind] for kind in discover()[name].needs}
        tables[name] = fabricate.make_table(folder / "out" / f"{name}.tsv", {}, needs)
    return {name: read_table(path) for name, path in tables.items()}


@pytest.mark.parametrize("soft", [True, False], ids=["soft", "only-hard"])
def test_the_scripts_write_every_table(soft, fabricate, tmp_path):
    """Prunings that are all top-k or random have no soft stage, and so no thresholds."""
    tables = summarised(tmp_path, fabricate, soft)
    assert len(tables["pruning"]) == 5 and len(tables["pruning_gains"]) == 3 * len(METRICS)
    assert len(tables["pruning_layers"]) == 10 and len(tables["thresholds"]) == soft
    assert set(tables["pruning"]["pruning"]) == {"mode~b"} and len(tables["pruning_training"]) == 1
