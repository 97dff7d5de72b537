import plot_heatmaps


def test_gold_and_predictor_maps(fabricate, tables, tmp_path):
    names = ("gold_sparsity", "predictors", "predictors_by_head", "best_by_head")
    output = {name: [str(tmp_path / f"{name}.svg")] for name in ("gold", "predictor", "best")}
    params = {"predictor": "kmeans", "sparsity": 0.95, "window": 0, "keep": "none", "context": fabricate.CONTEXT}
    given = {name: str(tables / f"{name}.tsv") for name in names}
    plot_heatmaps.main(fabricate.job(input=given, output=output, params=params))
    assert all((tmp_path / f"{name}.svg").stat().st_size > 1000 for name in output)
