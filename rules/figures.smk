# The figures of a run. What a figure needs of the run is one of KINDS of settings/results.py.
DRAWN = [
    name
    for name, part in {
        "pareto_recall": None,
        "pareto_mass_recall": None,
        "pareto_exactness": None,
        "pareto_computation": None,
        "pareto_windows": None,
        "pareto_areas": None,
        "heatmap_gold": None,
        "heatmap_predictor": None,
        "heatmap_best": None,
        "edge_distances": None,
        "bucket_entropy": "buckets",
        "bucket_distances": "buckets",
        "kept_by_layer": "code",
        "threshold_curves": "code",
        "pruning_f1": "code",
        "pruning_roc_auc": "code",
        "pruned_lengths": "code",
        "pruning_strength": "code" if grids.lambda_sweeps(PLAN.prunings) else "nothing",
        "training_curves": "model_training",
        "projection_curves": "curves",
    }.items()
    if part is None or part in RESULTS.files
]
FIGURES = [f"results/figures/{name}.{suffix}" for name in DRAWN for suffix in ("svg", "pdf", "png")]


if "model_training" in RESULTS.files:

    rule plot_training:
        input:
            training="results/tables/training.tsv",
            masked_lm="results/tables/masked_lm.tsv",
        output:
            figure=figure_of("training_curves", "The language models"),
        log:
            log_of("plot_training"),
        benchmark:
            benchmark_of("plot_training")
        conda:
            "../envs/plot_training.yaml"
        params:
            code=code("plot_training"),
            context=PLAN.context,
        message:
            "Drawing the training curves"
        script:
            "../workflow/scripts/plot_training.py"


if "curves" in RESULTS.files:

    rule plot_projections:
        input:
            projections="results/tables/projections.tsv",
        output:
            figure=figure_of("projection_curves", "The projections"),
        log:
            log_of("plot_projections"),
        benchmark:
            benchmark_of("plot_projections")
        conda:
            "../envs/plot_projections.yaml"
        params:
            code=code("plot_projections"),
            context=PLAN.context,
        message:
            "Drawing the fitting curves of the projections"
        script:
            "../workflow/scripts/plot_projections.py"


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
        log_of("plot_pareto"),
    benchmark:
        benchmark_of("plot_pareto")
    conda:
        "../envs/plot_pareto.yaml"
    params:
        code=code("plot_pareto"),
        facts=FACTS,
        context=PLAN.context,
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
        log_of("plot_areas"),
    benchmark:
        benchmark_of("plot_areas")
    conda:
        "../envs/plot_areas.yaml"
    params:
        code=code("plot_areas"),
        facts=FACTS,
        context=PLAN.context,
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
        log_of("plot_distances"),
    benchmark:
        benchmark_of("plot_distances")
    conda:
        "../envs/plot_distances.yaml"
    params:
        code=code("plot_distances"),
        facts=FACTS,
        context=PLAN.context,
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
        log_of("plot_heatmaps"),
    benchmark:
        benchmark_of("plot_heatmaps")
    conda:
        "../envs/plot_heatmaps.yaml"
    params:
        code=code("plot_heatmaps"),
        context=PLAN.context,
        predictor=config["figures"]["heatmap"]["predictor"],
        sparsity=config["figures"]["heatmap"]["sparsity"],
        window=config["figures"]["window"],
        keep=config["figures"]["keep"],
    message:
        "Drawing layers against heads"
    script:
        "../workflow/scripts/plot_heatmaps.py"


if "buckets" in RESULTS.files:

    rule plot_buckets:
        input:
            buckets="results/tables/buckets.tsv",
            common_buckets="results/tables/common_buckets.tsv",
        output:
            entropy=figure_of("bucket_entropy", "The buckets"),
            common=figure_of("bucket_distances", "The buckets"),
        log:
            log_of("plot_buckets"),
        benchmark:
            benchmark_of("plot_buckets")
        conda:
            "../envs/plot_buckets.yaml"
        params:
            code=code("plot_buckets"),
            context=PLAN.context,
            sparsity=config["figures"]["heatmap"]["sparsity"],
        message:
            "Drawing what is in the buckets"
        script:
            "../workflow/scripts/plot_buckets.py"


if "code" in RESULTS.files:

    # the lengths are those of single functions, so they are drawn of one run: the first one
    rule plot_pruning:
        input:
            pruning="results/tables/pruning.tsv",
            layers="results/tables/pruning_layers.tsv",
            thresholds="results/tables/thresholds.tsv",
            kept=RESULTS.files["kept"].paths[0],
            predictions=RESULTS.files["predictions"].paths[0],
        output:
            **(
                {"strength": figure_of("pruning_strength", "The pruned classifiers")}
                if grids.lambda_sweeps(PLAN.prunings)
                else {}
            ),
            layers=figure_of("kept_by_layer", "The pruned classifiers"),
            thresholds=figure_of("threshold_curves", "The pruned classifiers"),
            f1=figure_of("pruning_f1", "The pruned classifiers"),
            roc_auc=figure_of("pruning_roc_auc", "The pruned classifiers"),
            lengths=figure_of("pruned_lengths", "The pruned classifiers"),
        log:
            log_of("plot_pruning"),
        benchmark:
            benchmark_of("plot_pruning")
        conda:
            "../envs/plot_pruning.yaml"
        params:
            code=code("plot_pruning"),
            context={"corpus": config["code"], "model": config["classifier"]},
        message:
            "Drawing what pruning leaves and costs"
        script:
            "../workflow/scripts/plot_pruning.py"
