import pytest

from sparse_attention.files.tables import read_table


def test_every_predictor_stands_beside_the_gold_support(tables, fabricate):
    table = read_table(tables / "offsets.tsv")
    assert len(table) == 5 * len(fabricate.DISTANCES)
    for _, rows in table.groupby("predictor"):
        assert rows[["share", "gold_share"]].sum().tolist() == pytest.approx([1, 1], abs=1e-5)
