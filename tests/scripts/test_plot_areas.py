import plot_areas


def test_the_figure_is_written(fabricate, tables, tmp_path):
    params = {"window": 0, "keep": "none", "context": fabricate.CONTEXT}
    given, output = {"areas": str(tables / "areas.tsv")}, {"figure": [str(tmp_path / "areas.svg")]}
    plot_areas.main(fabricate.job(input=given, output=output, params=params))
    assert (tmp_path / "areas.svg").stat().st_size > 1000
