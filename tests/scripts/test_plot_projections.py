import plot_projections


def test_the_figure_is_written(fabricate, tables, tmp_path):
    given = {"projections": str(tables / "projections.tsv")}
    output = {"figure": [str(tmp_path / f"curves.{suffix}") for suffix in ("svg", "pdf", "png")]}
    plot_projections.main(fabricate.job(input=given, output=output, params={"context": fabricate.CONTEXT}))
    assert all((tmp_path / f"curves.{suffix}").stat().st_size > 1000 for suffix in ("svg", "pdf", "png"))
