import pytest

from sparse_attention.files.tables import read_table


@pytest.mark.parametrize("name, rows", [("predictors_at_sparsity", 5 * 3 * 4), ("areas", 5 * 3)])
def test_the_tables_are_complete(name, rows, tables):
    assert len(read_table(tables / f"{name}.tsv")) == rows


def test_intervals_lie_around_what_they_are_of(tables_of_seeds):
    areas, levels = (read_table(tables_of_seeds / f"{name}.tsv") for name in ("areas", "predictors_at_sparsity"))
    for table, names in ((areas, ["area_recall", "hypervolume_mass_recall"]), (levels, ["recall", "exactness"])):
        for name in names:
            known = table[table[name].notna()]
            assert (
                len(known)
                and (known[f"{name}_low"] <= known[name]).all()
                and (known[name] <= known[f"{name}_high"]).all()
            )


def test_the_compact_table_is_latex_too(tables):
    text = (tables / "predictors_at_sparsity.tex").read_text()
    assert "Predictor & 0.8 & 0.9 & 0.95 & 0.98" in text and r"\cmidrule(lr){2-5}" in text
    assert "Cosine distance & " in text and r"\pm" in text


def test_the_areas_are_latex_too_with_the_largest_first(tables):
    text = (tables / "areas.tex").read_text()
    names = [line.split(" & ")[0] for line in text.splitlines() if "$" in line]
    areas = read_table(tables / "areas.tsv").query("windows == '0'").sort_values("area_recall", ascending=False)
    assert names == list(areas["label"]) and names[0] == "Oracle top-k"
    assert "from sparsity 0.8 to 1" in text and r"\multicolumn{3}{c}{Hypervolume}" in text
