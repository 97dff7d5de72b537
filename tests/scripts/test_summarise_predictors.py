import pytest

from sparse_attention.files.tables import read_table


def test_one_row_for_each_point_and_window(tables):
    table = read_table(tables / "predictors.tsv")
    assert len(table) == 11 * 2
    who = ["predictor", "label", "family", "bound", "projection", "attention", "point", "window", "keep"]
    assert list(table.columns[:11]) == [*who, "seeds", "examples"]
    assert table["recall_ci95"].isna().all()


def test_several_seeds_have_intervals(tables_of_seeds):
    table = read_table(tables_of_seeds / "predictors.tsv")
    assert len(table) == 2 * 11 * 2 and table["recall_ci95"].gt(0).all() and set(table["seeds"]) == {3}


@pytest.mark.parametrize(
    "name, rows", [("predictors_by_head", 11 * 2 * 6), ("best_by_head", 2 * 3), ("best_by_layer", 2)]
)
def test_other_tables_are_complete(name, rows, tables):
    assert len(read_table(tables / f"{name}.tsv")) == rows


def test_computation_sparsity_and_best_recall_are_published(tables):
    for name in ("predictors", "predictors_by_head"):
        assert read_table(tables / f"{name}.tsv")[["best_recall", "computation_sparsity"]].notna().all(axis=None)
