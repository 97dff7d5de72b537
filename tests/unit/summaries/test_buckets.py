"""Tables of buckets: means over seeds, and pairs that are missing in a seed."""

import pandas as pd
import pytest

from sparse_attention.files.tables import read_table
from sparse_attention.summaries.tables.buckets import buckets_table
from sparse_attention.summaries.tables.common_buckets import common_buckets_table


def test_buckets_are_averaged_over_seeds(fabricate, tmp_path):
    paths, _, runs = fabricate.quantizers(tmp_path, seeds=(1, 2, 3))
    table = buckets_table(paths, runs)
    assert len(table) == 2 * 3 * 3 * 2 and set(table["seeds"]) == {3} and set(table["examples"]) == {8}
    chosen = "point == 'clusters~8_runs~1_top~2' and layer == 1 and head == 2 and side == 'keys'"
    values = [read_table(path).query(chosen)["entropy"].item() for path in paths]
    row = table.query(chosen).iloc[0]
    assert row["entropy"] == pytest.approx(sum(values) / 3) and row["entropy_ci95"] > 0 and row["family"] == "clusters"


def write(folder, name, *rows):
    columns = ["layer", "point", "distance_bin", "common", "pairs", "gold_pairs"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / name, sep="\t", index=False)
    return str(folder / name)


def test_missing_pairs_of_a_seed_count_as_zero(tmp_path):
    b, a = "size~16", "size~4"
    near, far, other = (0, b, "0.5-1"), (0, b, ">2"), (0, a, "1-2")
    paths = [
        write(tmp_path, "1", (*far, 0, 6, 0), (*near, 1, 4, 2), (*near, 0, 4, 0), (*other, 0, 1, 1)),
        write(tmp_path, "2", (*far, 0, 6, 0), (*near, 1, 8, 2), (*other, 0, 3, 1)),
    ]
    run = {"predictor": "fixed", "projection": "kind~none", "attention": "entmax~1.5"}
    table = common_buckets_table(paths, [run | {"seed": seed} for seed in (1, 2)])
    assert set(table["seeds"]) == {2}
    found = table[["point", "distance_bin", "common", "pairs", "gold_pairs", "share", "gold_share"]].values.tolist()
    nan = pytest.approx(float("nan"), nan_ok=True)
    assert found == [
        [b, "0.5-1", 0, 2, 0, 0.25, 0],
        [b, "0.5-1", 1, 6, 2, 0.75, 1],
        [b, ">2", 0, 6, 0, 1, nan],
        [a, "1-2", 0, 2, 1, 1, 1],
    ]


def test_without_quantizers_the_tables_are_empty():
    assert buckets_table([], []).empty and list(common_buckets_table([], []).columns[-2:]) == ["share", "gold_share"]
