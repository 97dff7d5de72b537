import plot_pareto

FORMATS = ("svg", "pdf", "png")


def test_four_figures_in_three_formats(fabricate, tables, tmp_path):
    names = {"recall": "pareto_recall", "mass_recall": "pareto_mass_recall", "exactness": "pareto_exactness"}
    names |= {"windows": "pareto_windows"}
    output = {key: [str(tmp_path / f"{name}.{suffix}") for suffix in FORMATS] for key, name in names.items()}
    given = {"predictors": str(tables / "predictors.tsv"), "pareto": str(tables / "pareto.tsv")}
    params = {"window": 0, "keep": "none", "context": fabricate.CONTEXT}
    plot_pareto.main(fabricate.job(input=given, output=output, params=params))
    heads = {"svg": b"<?xml", "pdf": b"%PDF", "png": b"\x89PNG"}
    for path in (tmp_path / f"{name}.{suffix}" for name in names.values() for suffix in FORMATS):
        assert path.read_bytes().startswith(heads[path.suffix[1:]])
