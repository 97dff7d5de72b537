from sparse_attention.files.tables import read_table


def test_both_tables_are_written(tables, tables_of_seeds):
    assert len(read_table(tables / "buckets.tsv")) == 3 * 2 * 3 * 2
    common = read_table(tables_of_seeds / "common_buckets.tsv")
    assert len(common) == 2 * 3 * 2 * 4 * 2 and list(common["distance_bin"].unique()) == ["0-0.5", "0.5-1", "1-2", ">2"]
