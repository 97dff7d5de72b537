import plot_distances


def test_the_figure_is_written(fabricate, tables, tmp_path):
    given, output = {"offsets": str(tables / "offsets.tsv")}, {"figure": [str(tmp_path / "distances.svg")]}
    plot_distances.main(fabricate.job(input=given, output=output, params={"context": fabricate.CONTEXT}))
    assert (tmp_path / "distances.svg").stat().st_size > 1000
