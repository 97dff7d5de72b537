"""Tables that the one rule makes, from what the jobs wrote."""

from sparse_attention.files.tables import read_table
from sparse_attention.jobs.file_lists import FileList


def test_documents_and_blocks_become_one_table(tables):
    table = read_table(tables / "corpus.tsv")
    assert list(table["split"]) == ["train", "validation", "test"] and table["tokens"].iloc[0] == 4500 * 74


def test_gold_sparsity_has_a_row_for_each_layer_and_head_with_intervals_over_seeds(tables_of_seeds):
    gold = read_table(tables_of_seeds / "gold_sparsity.tsv")
    assert len(gold) == 2 * 2 * 3 and set(gold["seeds"]) == {3}
    assert gold["gold_sparsity_ci95"].notna().all() and set(gold["examples"]) == {32}


def test_one_seed_leaves_intervals_empty(tables):
    gold = read_table(tables / "gold_sparsity.tsv")
    assert len(gold) == 6 and gold["support_size_ci95"].isna().all()
    assert read_table(tables / "masked_lm.tsv")["loss_ci95"].isna().all()


def test_language_models_of_several_seeds(tables_of_seeds):
    quality = read_table(tables_of_seeds / "masked_lm.tsv")
    assert list(quality["attention"].unique()) == ["entmax~1.5", "entmax~2", "softmax"]
    assert set(quality["seeds"]) == {3} and quality.query("stage == 'after'")["loss_ci95"].notna().all()
    training = read_table(tables_of_seeds / "training.tsv")
    assert set(training["phase"]) == {"train", "validation"} and "alpha_ci95" not in training


def test_curves_of_projections_are_averaged_over_seeds(fabricate, tmp_path):
    curves = FileList(*fabricate.curves(tmp_path, (1, 2, 3)))
    table = read_table(fabricate.make_table(tmp_path / "projections.tsv", {}, {"curves": curves}))
    assert len(table) == 2 * 3 * 2 and set(table["seeds"]) == {3}
    row = table.query("layer == 0 and step == 5 and split == 'train'").iloc[0]
    assert abs(row["loss"] - 0.92) < 1e-6 and row["loss_ci95"] > 0


def test_every_predictor_stands_beside_the_gold_support(tables, fabricate):
    table = read_table(tables / "offsets.tsv")
    assert len(table) == 5 * len(fabricate.DISTANCES)
    for _, rows in table.groupby("predictor"):
        assert (rows[["share", "gold_share"]].sum() - 1).abs().max() < 1e-5


def test_both_tables_of_buckets_are_written(tables, tables_of_seeds):
    assert len(read_table(tables / "buckets.tsv")) == 3 * 2 * 3 * 2
    common = read_table(tables_of_seeds / "common_buckets.tsv")
    assert len(common) == 2 * 3 * 2 * 4 * 2 and list(common["distance_bin"].unique()) == ["0-0.5", "0.5-1", "1-2", ">2"]


def test_equal_inputs_give_equal_bytes(fabricate, tables, tmp_path):
    again = fabricate.published(tmp_path)
    for path in sorted(tables.iterdir()):
        assert path.read_bytes() == (again / path.name).read_bytes(), path.name
