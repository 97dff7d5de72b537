from sparse_attention.files.tables import read_table


def test_tables_of_several_seeds(fabricate, tables_of_seeds):
    quality = read_table(tables_of_seeds / "masked_lm.tsv")
    assert list(quality["attention"].unique()) == ["entmax~1.5", "entmax~2", "softmax"]
    assert set(quality["seeds"]) == {3} and quality.query("stage == 'after'")["loss_ci95"].notna().all()
    training = read_table(tables_of_seeds / "training.tsv")
    assert set(training["phase"]) == {"train", "validation"} and "alpha_ci95" not in training


def test_one_seed_leaves_intervals_empty(tables):
    assert read_table(tables / "masked_lm.tsv")["loss_ci95"].isna().all()


def test_equal_inputs_give_equal_bytes(fabricate, tables, tmp_path):
    again = fabricate.published(tmp_path)
    for path in sorted(tables.iterdir()):
        assert path.read_bytes() == (again / path.name).read_bytes(), path.name
