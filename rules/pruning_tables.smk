# What the tables say of each file they are made from, in the order of the files.
DENSE = {
    seed: expand(f"{PRUNED}/dense", code=config["code"], classifier=config["classifier"], seed=seed)[0]
    for seed in config["seeds"]
}
PRUNED_RUNS = {
    f"{Path(DENSE[seed]).parent}/{name}": {"pruning": name, "seed": seed}
    for name in PRUNINGS
    for seed in config["seeds"]
}
PRUNED_RESULTS = [f"{folder}/{name}" for folder in PRUNED_RUNS for name in ("tokens.html", "export/functions.parquet")]
EVALUATED = ["predictions.tsv", *(["retrained/predictions.tsv"] if config["export_pruned"]["retrain"] else [])]
SOFT_RUNS = [
    {"folder": folder, **run} for folder, run in PRUNED_RUNS.items() if grids.has_soft_stage(PRUNINGS[run["pruning"]])
]
PRUNING_STAGES = [
    *(
        {"file": f"{folder}/training.tsv", "pruning": "", "stage": "dense", "seed": seed}
        for seed, folder in DENSE.items()
    ),
    *({"file": f"{run['folder']}/soft/training.tsv", **run, "stage": "soft"} for run in SOFT_RUNS),
    *({"file": f"{folder}/hard/training.tsv", **run, "stage": "hard"} for folder, run in PRUNED_RUNS.items()),
]


rule summarise_pruning:
    input:
        predictions=[f"{folder}/{name}" for folder in PRUNED_RUNS for name in EVALUATED],
        kept=[f"{folder}/{name.replace('predictions', 'kept')}" for folder in PRUNED_RUNS for name in EVALUATED],
        thresholds=[f"{run['folder']}/soft/thresholds.tsv" for run in SOFT_RUNS],
        training=[stage["file"] for stage in PRUNING_STAGES],
        statistics=f"results/pruning/{config['code']}/{config['classifier']}/statistics.tsv",
    output:
        pruning=table_of("pruning", "The pruned classifiers"),
        pruning_gains=table_of("pruning_gains", "The pruned classifiers"),
        pruning_layers=table_of("pruning_layers", "The pruned classifiers"),
        thresholds=table_of("thresholds", "The pruned classifiers"),
        pruning_training=table_of("pruning_training", "The pruned classifiers"),
        code_tokens=table_of("code_tokens", "The code"),
    log:
        "results/logs/summarise_pruning.log",
    benchmark:
        "results/benchmarks/summarise_pruning.tsv"
    conda:
        "../envs/summarise_pruning.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        code=code("summarise_pruning"),
        runs=[{"pruning": run["pruning"], "seed": run["seed"]} for run in PRUNED_RUNS.values() for _ in EVALUATED],
        soft_runs=[{"pruning": run["pruning"], "seed": run["seed"]} for run in SOFT_RUNS],
        stages=[{key: stage[key] for key in ("pruning", "stage", "seed")} for stage in PRUNING_STAGES],
        replicates=config["evaluate_pruning"]["replicates"],
    message:
        "Summarising the pruned classifiers"
    script:
        "../workflow/scripts/summarise_pruning.py"


rule summarise_timings:
    input:
        timings=[f"{folder.replace('results/pruning', 'results/timings', 1)}.tsv" for folder in PRUNED_RUNS],
    output:
        timings=TIMINGS,
    log:
        "results/logs/summarise_timings.log",
    benchmark:
        "results/benchmarks/summarise_timings.tsv"
    conda:
        "../envs/summarise_timings.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        code=code("summarise_timings"),
        runs=list(PRUNED_RUNS.values()),
    message:
        "Averaging the timings over seeds"
    script:
        "../workflow/scripts/summarise_timings.py"


# the lengths are those of single functions, so they are drawn of one run: the first one
rule plot_pruning:
    input:
        pruning="results/tables/pruning.tsv",
        layers="results/tables/pruning_layers.tsv",
        thresholds="results/tables/thresholds.tsv",
        kept=f"{next(iter(PRUNED_RUNS))}/kept.tsv",
        predictions=f"{next(iter(PRUNED_RUNS))}/predictions.tsv",
    output:
        **({"strength": figure_of("pruning_strength", "The pruned classifiers")} if LAMBDA_SWEEPS else {}),
        layers=figure_of("kept_by_layer", "The pruned classifiers"),
        thresholds=figure_of("threshold_curves", "The pruned classifiers"),
        f1=figure_of("pruning_f1", "The pruned classifiers"),
        roc_auc=figure_of("pruning_roc_auc", "The pruned classifiers"),
        lengths=figure_of("pruned_lengths", "The pruned classifiers"),
    log:
        "results/logs/plot_pruning.log",
    benchmark:
        "results/benchmarks/plot_pruning.tsv"
    conda:
        "../envs/plot_pruning.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        code=code("plot_pruning"),
        context={"corpus": config["code"], "model": config["classifier"]},
    message:
        "Drawing what pruning leaves and costs"
    script:
        "../workflow/scripts/plot_pruning.py"
