import plot_pareto

FORMATS = ("svg", "pdf", "png")
METRICS = ("recall", "mass_recall", "exactness", "computation", "windows")


def test_five_figures_in_three_formats(fabricate, tables, tmp_path):
    output = {key: [str(tmp_path / f"pareto_{key}.{suffix}") for suffix in FORMATS] for key in METRICS}
    params = {"window": 0, "keep": "none", "context": fabricate.CONTEXT}
    given = {"predictors": str(tables / "predictors.tsv")}
    plot_pareto.main(fabricate.job(input=given, output=output, params=params))
    heads = {"svg": b"<?xml", "pdf": b"%PDF", "png": b"\x89PNG"}
    for path in (tmp_path / f"pareto_{key}.{suffix}" for key in METRICS for suffix in FORMATS):
        assert path.read_bytes().startswith(heads[path.suffix[1:]])
    assert len({(tmp_path / f"pareto_{key}.svg").read_bytes() for key in METRICS}) == len(METRICS)
