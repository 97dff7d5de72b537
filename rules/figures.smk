# The figures of the predictors; those of other stages are drawn in the files of the stages.
PRUNING_FIGURES = "kept_by_layer threshold_curves pruning_f1 pruning_roc_auc pruned_lengths".split()
PRUNING_FIGURES += ["pruning_strength"] if LAMBDA_SWEEPS else []
DRAWN = {
    "pareto_recall": "The predictors",
    "pareto_mass_recall": "The predictors",
    "pareto_exactness": "The predictors",
    "pareto_computation": "The predictors",
    "pareto_windows": "The predictors",
    "pareto_areas": "The predictors",
    "heatmap_gold": "The gold support",
    "heatmap_predictor": "The predictors",
    "heatmap_best": "The predictors",
    "edge_distances": "The predictors",
    **({"bucket_entropy": "The buckets", "bucket_distances": "The buckets"} if "buckets" in NAMES else {}),
    **({name: "The pruned classifiers" for name in PRUNING_FIGURES} if CODE else {}),
    **({} if FROM_DUMP else {"training_curves": "The language models"}),
    **({"projection_curves": "The projections"} if FITTED else {}),
}
FIGURES = [f"results/figures/{name}.{suffix}" for name in DRAWN for suffix in ("svg", "pdf", "png")]


rule plot_pareto:
    input:
        predictors="results/tables/predictors.tsv",
    output:
        recall=figure_of("pareto_recall", "The predictors"),
        mass_recall=figure_of("pareto_mass_recall", "The predictors"),
        exactness=figure_of("pareto_exactness", "The predictors"),
        computation=figure_of("pareto_computation", "The predictors"),
        windows=figure_of("pareto_windows", "The predictors"),
    log:
        "results/logs/plot_pareto.log",
    benchmark:
        "results/benchmarks/plot_pareto.tsv"
    conda:
        "../envs/plot_pareto.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        code=code("plot_pareto"),
        facts=FACTS,
        context=CONTEXT,
        window=config["figures"]["window"],
        keep=config["figures"]["keep"],
    message:
        "Drawing recall, mass recall and exactness against sparsity"
    script:
        "../workflow/scripts/plot_pareto.py"


rule plot_areas:
    input:
        areas="results/tables/areas.tsv",
    output:
        figure=figure_of("pareto_areas", "The predictors"),
    log:
        "results/logs/plot_areas.log",
    benchmark:
        "results/benchmarks/plot_areas.tsv"
    conda:
        "../envs/plot_areas.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        code=code("plot_areas"),
        facts=FACTS,
        context=CONTEXT,
        window=config["figures"]["window"],
        keep=config["figures"]["keep"],
    message:
        "Drawing the areas under the fronts"
    script:
        "../workflow/scripts/plot_areas.py"


rule plot_distances:
    input:
        offsets="results/tables/offsets.tsv",
    output:
        figure=figure_of("edge_distances", "The predictors"),
    log:
        "results/logs/plot_distances.log",
    benchmark:
        "results/benchmarks/plot_distances.tsv"
    conda:
        "../envs/plot_distances.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        code=code("plot_distances"),
        facts=FACTS,
        context=CONTEXT,
    message:
        "Drawing the distances of the kept pairs"
    script:
        "../workflow/scripts/plot_distances.py"


rule plot_heatmaps:
    input:
        gold_sparsity="results/tables/gold_sparsity.tsv",
        predictors="results/tables/predictors.tsv",
        predictors_by_head="results/tables/predictors_by_head.tsv",
        best_by_head="results/tables/best_by_head.tsv",
    output:
        gold=figure_of("heatmap_gold", "The gold support"),
        predictor=figure_of("heatmap_predictor", "The predictors"),
        best=figure_of("heatmap_best", "The predictors"),
    log:
        "results/logs/plot_heatmaps.log",
    benchmark:
        "results/benchmarks/plot_heatmaps.tsv"
    conda:
        "../envs/plot_heatmaps.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        code=code("plot_heatmaps"),
        context=CONTEXT,
        predictor=config["figures"]["heatmap"]["predictor"],
        sparsity=config["figures"]["heatmap"]["sparsity"],
        window=config["figures"]["window"],
        keep=config["figures"]["keep"],
    message:
        "Drawing layers against heads"
    script:
        "../workflow/scripts/plot_heatmaps.py"
