"""The table of attention maps: of each attention and predictor the map that is nearest to a sparsity."""

import pandas as pd
import pytest

from sparse_attention.files.tables import read_table
from sparse_attention.summaries.tables.attention_maps import COLUMNS, OF_MAPS, attention_maps_table


@pytest.mark.parametrize(
    ("sparsity", "shown"), [(0.7, "clusters~4_runs~1"), (0.84, "clusters~4_runs~1"), (0.95, "clusters~8_runs~1")]
)
def test_the_nearest_map_of_each_predictor_is_taken_whole(sparsity, shown, fabricate, tmp_path):
    paths, runs = fabricate.maps(tmp_path, ("entmax~1.5", "entmax~2"))
    table = attention_maps_table(paths, runs, sparsity)
    assert tuple(table.columns) == COLUMNS
    kept = [path for path in paths if "kmeans" not in path or shown in path]
    assert len(kept) == 6
    expected = pd.concat([read_table(path) for path in kept], ignore_index=True)
    pd.testing.assert_frame_equal(table[list(OF_MAPS)], expected[list(OF_MAPS)])
    assert list(table["predictor"].unique()) == ["window", "cos", "kmeans"] and set(table["label"]) >= {"Window"}
    assert table["attention"].is_monotonic_increasing and set(table["attention"]) == {"entmax~1.5", "entmax~2"}


def test_of_equally_near_maps_the_first_is_taken(fabricate, tmp_path):
    paths, runs = fabricate.maps(tmp_path)
    for path in paths:
        read_table(path).assign(sparsity=0.9).to_csv(path, sep="\t", index=False)
    table = attention_maps_table(paths, runs, 0.9)
    assert table.query("predictor == 'kmeans'")["point"].unique().tolist() == ["clusters~4_runs~1_setting~0"]


def test_texts_stay_texts_and_maps_without_pairs_are_left_out(fabricate, tmp_path):
    paths, runs = fabricate.maps(tmp_path)
    read_table(paths[0])[:0].to_csv(paths[0], sep="\t", index=False)
    numbers = read_table(paths[1])
    numbers.assign(query_token=numbers["query"], key_token=numbers["key"]).to_csv(paths[1], sep="\t", index=False)
    table = attention_maps_table(paths, runs, 0.9)
    assert list(table["predictor"].unique()) == ["cos", "kmeans"]
    assert table.query("predictor == 'cos'")["query_token"].tolist() == numbers["query"].astype(str).tolist()
    assert list(attention_maps_table([], [], 0.9).columns) == list(COLUMNS)


def test_it_is_published_with_the_others(tables, fabricate):
    table = read_table(tables / "attention_maps.tsv")
    assert set(table["query_token"]) <= set(fabricate.WORDS) and {"$", "<b>", '"'} <= set(table["query_token"])
