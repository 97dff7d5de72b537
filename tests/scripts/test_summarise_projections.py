import summarise_projections
from sparse_attention.files.tables import read_table


def test_curves_are_averaged_over_seeds(fabricate, tmp_path):
    paths, runs = fabricate.curves(tmp_path, (1, 2, 3))
    output = tmp_path / "projections.tsv"
    job = fabricate.job(input={"curves": paths}, output={"projections": str(output)}, params={"runs": runs})
    summarise_projections.main(job)
    table = read_table(output)
    assert len(table) == 2 * 3 * 2 and set(table["seeds"]) == {3}
    row = table.query("layer == 0 and step == 5 and split == 'train'").iloc[0]
    assert abs(row["loss"] - 0.92) < 1e-6 and row["loss_ci95"] > 0
