"""Distances of kept pairs against plain sums."""

import numpy as np
import pandas as pd
import pytest

from sparse_attention.files.tables import read_table
from sparse_attention.summaries.predictors import predictor_tables
from sparse_attention.summaries.tables.offsets import nearest_points, offsets_table


@pytest.fixture(scope="module")
def evaluated(fabricate, tmp_path_factory):
    paths, runs = fabricate.evaluations(tmp_path_factory.mktemp("evaluated"), seeds=(1, 2), keep=("none", "cls"))
    points = predictor_tables(paths, runs)["predictors"]
    return points, [fabricate.beside(path, "offsets") for path in paths], runs


@pytest.mark.parametrize("sparsity, point", [(0.95, "clusters~8_runs~1_top~1"), (0.72, "clusters~4_runs~1_top~1")])
def test_shares_are_those_of_the_point_nearest_the_sparsity(sparsity, point, evaluated):
    points, paths, runs = evaluated
    table = offsets_table(points, paths, runs, sparsity)
    rows = table[table["predictor"] == "kmeans"].set_index("distance")
    assert set(rows["point"]) == {point} and len(table) == 5 * len(rows) and set(table["seeds"]) == {2}
    shares = {name: [] for name in (point, "gold")}
    for path, run in zip(paths, runs, strict=True):
        if run["predictor"] == "kmeans":
            frame = read_table(path)
            for name, values in shares.items():
                edges = frame[frame["point"] == name].groupby("distance", sort=False)["edges"].sum()
                values.append(edges / edges.sum())
    for name, column in ((point, "share"), ("gold", "gold_share")):
        expected = pd.concat(shares[name], axis=1).mean(axis=1)
        np.testing.assert_allclose(rows[column], expected[rows.index])
        assert rows[column].sum() == pytest.approx(1)


def test_bins_keep_their_order(evaluated, fabricate):
    table = offsets_table(*evaluated, 0.95)
    assert list(table["distance"].iloc[:7]) == list(fabricate.DISTANCES)


def test_rows_without_window_and_kept_tokens_are_preferred(evaluated):
    points, *_ = evaluated
    assert set(nearest_points(points, 0.9)["window"]) == {0} and set(nearest_points(points, 0.9)["keep"]) == {"none"}
    kept = points[(points["window"] == 11) & (points["keep"] == "cls")]
    assert len(nearest_points(kept, 0.9)) == 5


def test_a_predictor_whose_settings_are_in_several_files_has_one_row_per_bin(evaluated, tmp_path):
    points, paths, runs = evaluated
    own = [(path, run) for path, run in zip(paths, runs, strict=True) if run["predictor"] == "kmeans"]
    parts, part_runs = [], []
    for place, (path, run) in enumerate(own):
        frame = read_table(path)
        for point in frame["point"].unique():
            if point != "gold":
                parts.append(str(tmp_path / f"{place} {point}.tsv"))
                frame[frame["point"].isin([point, "gold"])].to_csv(parts[-1], sep="\t", index=False)
                part_runs.append(run)
    chosen = points[points["predictor"] == "kmeans"]
    whole = offsets_table(chosen, [path for path, _ in own], [run for _, run in own], 0.95)
    pd.testing.assert_frame_equal(offsets_table(chosen, parts, part_runs, 0.95), whole)
