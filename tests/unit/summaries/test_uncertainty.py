"""Fixed sparsities and areas, with their intervals, against one resample after the other."""

import numpy as np
import pandas as pd
import pytest

from sparse_attention.errors import InputError
from sparse_attention.files.tables import read_table
from sparse_attention.summaries import pareto
from sparse_attention.summaries.bootstrap import draws
from sparse_attention.summaries.fronts import hulls, hypervolumes
from sparse_attention.summaries.predictors import predictor_tables
from sparse_attention.summaries.uncertainty import uncertainty_tables

REPLICATES, SEEDS = 40, (1, 2, 3)
LEVELS = [0.85, 0.9]


@pytest.fixture(scope="module")
def evaluated(fabricate, tmp_path_factory):
    paths, runs = fabricate.evaluations(tmp_path_factory.mktemp("evaluated"), seeds=SEEDS, keep=("none", "cls"))
    return paths, [fabricate.beside(path, "documents") for path in paths], runs


@pytest.fixture(scope="module")
def tables(evaluated):
    _, documents, runs = evaluated
    return uncertainty_tables(documents, runs, LEVELS, REPLICATES)


def resamples(evaluated, predictor, windows, keep):
    """Yield the points of each seed, resampled and averaged with pandas, and how often the seed was drawn."""
    _, documents, runs = evaluated
    frames = [read_table(p) for p, run in zip(documents, runs, strict=True) if run["predictor"] == predictor]
    for replicate in range(REPLICATES):
        points = []
        for frame in frames:
            rows = frame[(frame["keep"] == keep) & (frame["window"].isin(windows))]
            names = sorted(rows["document"].unique())
            times = dict(zip(names, draws(len(names), REPLICATES, stream=0)[replicate], strict=True))
            weights = rows["document"].map(times) * rows["examples"]
            weighted = rows[["sparsity", "recall", "exactness"]].mul(weights, axis=0).assign(weights=weights)
            sums = weighted.groupby([rows["window"], rows["point"]]).sum()
            points.append(sums.div(sums["weights"], axis=0))
        yield points, draws(len(SEEDS), REPLICATES, stream=1)[replicate]


@pytest.mark.parametrize("windows, keep", [("0", "none"), ("11", "cls"), ("all", "cls")])
def test_intervals_are_quantiles_over_resamples(windows, keep, evaluated, tables):
    chosen = (0, 11) if windows == "all" else (int(windows),)
    found = {"recall": [], "exactness": [], "area_recall": [], "hypervolume_exactness": []}
    for points, times in resamples(evaluated, "kmeans", chosen, keep):
        for name, values in found.items():
            metric = name.split("_")[-1]
            own = []
            for point in points:
                x, y = point["sparsity"].to_numpy(), point[metric].to_numpy()
                measures = {
                    metric: pareto.attainable(x, y, 0.85),
                    f"area_{metric}": hulls(x[None], y[None], with_ends=True).area(0.85)[0],
                    f"hypervolume_{metric}": hypervolumes(x[None], y[None])[0],
                }
                own.append(measures[name])
            values.append(np.average(own, weights=times))
    setting = f"predictor == 'kmeans' and windows == '{windows}' and keep == '{keep}'"
    level = tables["predictors_at_sparsity"].query(f"{setting} and at_sparsity == 0.85").iloc[0]
    area = tables["areas"].query(setting).iloc[0]
    for name, values in found.items():
        row = area if "_" in name else level
        low, high = np.quantile(values, [0.025, 0.975])
        assert row[f"{name}_low"] == pytest.approx(low) and row[f"{name}_high"] == pytest.approx(high)
        assert low < row[name] < high


def test_the_estimates_are_those_of_the_tables_by_head(evaluated, tables):
    paths, _, runs = evaluated
    level = tables["predictors_at_sparsity"].query("windows == 'all' and keep == 'none' and at_sparsity == 0.9")
    area = tables["areas"].query("windows == 'all' and keep == 'none'").set_index("predictor")
    by_seed = []
    for seed in SEEDS:
        own = [place for place, run in enumerate(runs) if run["seed"] == seed]
        by_seed.append(predictor_tables([paths[place] for place in own], [runs[place] for place in own]))
    for predictor in ("cos", "kmeans", "oracle"):
        expected = []
        for tables_of_seed in by_seed:
            rows = tables_of_seed["predictors"].query(f"predictor == '{predictor}' and keep == 'none'")
            x, y = rows["sparsity"].to_numpy(), rows["recall"].to_numpy()
            area_of, volume = hulls(x[None], y[None], with_ends=True).area(0.85)[0], hypervolumes(x[None], y[None])[0]
            expected.append([pareto.attainable(x, y, 0.9), area_of, volume])
        found = [level.set_index("predictor").loc[predictor, "recall"]]
        found += [area.loc[predictor, name] for name in ("area_recall", "hypervolume_recall")]
        assert found == pytest.approx(np.mean(expected, axis=0), abs=2e-6)


def test_rows_are_ordered_and_complete(tables):
    areas, levels = tables["areas"], tables["predictors_at_sparsity"]
    assert len(areas) == 5 * 3 * 2 and len(levels) == len(areas) * len(LEVELS)
    assert list(areas["keep"].unique()) == ["none", "cls"] and list(areas["windows"].unique()) == ["0", "11", "all"]
    first = areas[(areas["keep"] == "none") & (areas["windows"] == "0")]
    assert list(first["predictor"]) == ["cos", "kmeans", "window", "oracle", "random"]
    assert list(first["points"]) == [2, 3, 2, 2, 2] and set(areas["area_from"]) == {0.85} and set(areas["seeds"]) == {3}
    assert list(areas["points"].iloc[-5:]) == [4, 6, 4, 4, 4]
    assert {"oracle": "upper", "random": "lower"}.items() <= dict(
        zip(areas["predictor"], areas["bound"], strict=True)
    ).items()


def test_two_runs_give_the_same_numbers_whatever_else_is_compared(evaluated, tables):
    _, documents, runs = evaluated
    some = [(path, run) for path, run in zip(documents, runs, strict=True) if run["predictor"] in ("cos", "oracle")]
    again = uncertainty_tables(*zip(*some, strict=True), LEVELS, REPLICATES)
    for name, table in again.items():
        before = tables[name][tables[name]["predictor"].isin(("cos", "oracle"))].reset_index(drop=True)
        pd.testing.assert_frame_equal(table, before, check_dtype=False)


def test_one_seed_has_bootstrap_intervals_and_no_other(fabricate, tmp_path):
    paths, runs = fabricate.evaluations(tmp_path)
    table = uncertainty_tables([fabricate.beside(path, "documents") for path in paths], runs, [0.95], 20)
    row = table["predictors_at_sparsity"].query("predictor == 'cos' and windows == '0'").iloc[0]
    assert np.isnan(row["recall_ci95"]) and row["recall_low"] < row["recall"] < row["recall_high"]


def test_a_sparsity_that_one_seed_does_not_reach_stays_blank(fabricate, tmp_path):
    paths, runs = fabricate.evaluations(tmp_path, seeds=(1, 2), windows=(0,))
    documents = [fabricate.beside(path, "documents") for path in paths]
    place = next(p for p, run in zip(documents, runs, strict=True) if run["predictor"] == "cos" and run["seed"] == 2)
    frame = read_table(place)
    frame[frame["point"] == "threshold~0.6"].to_csv(place, sep="\t", index=False)
    table = uncertainty_tables(documents, runs, [0.95], 20)["predictors_at_sparsity"].set_index("predictor")
    assert table.loc["cos", ["recall", "recall_ci95", "recall_low"]].isna().all() and table.loc["window", "recall"] > 0


def test_a_document_that_lacks_a_point_is_named(fabricate, tmp_path):
    paths, runs = fabricate.evaluations(tmp_path)
    place = fabricate.beside(paths[0], "documents")
    read_table(place).iloc[1:].to_csv(place, sep="\t", index=False)
    with pytest.raises(InputError, match="cos, .*, seed 1: document 'document 0' has no row of point threshold~0.1"):
        uncertainty_tables([fabricate.beside(path, "documents") for path in paths], runs, [0.95], 20)
