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


rule tokenise_code:
    input:
        functions="results/code/{code}/functions.parquet",
        model=receipt(CLASSIFIER),
    output:
        tokens="results/pruning/{code}/{classifier}/tokens.safetensors",
        info="results/pruning/{code}/{classifier}/tokens.json",
        statistics="results/pruning/{code}/{classifier}/statistics.tsv",
    log:
        "results/logs/tokenise_code/{code}/{classifier}.log",
    benchmark:
        "results/benchmarks/tokenise_code/{code}/{classifier}.tsv"
    conda:
        "../envs/tokenise_code.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        code=code("tokenise_code"),
        max_tokens=config["tokenise_code"]["max_tokens"],
    message:
        "Cutting the functions of {wildcards.code} to {params.max_tokens} tokens of {wildcards.classifier}"
    script:
        "../workflow/scripts/tokenise_code.py"


rule train_classifier:
    input:
        tokens="results/pruning/{code}/{classifier}/tokens.safetensors",
        info="results/pruning/{code}/{classifier}/tokens.json",
        model=receipt(CLASSIFIER),
    output:
        model=directory(f"{PRUNED}/dense/model"),
        training=f"{PRUNED}/dense/training.tsv",
    log:
        "results/logs/train_classifier/{code}/{classifier}/seed~{seed}.log",
    benchmark:
        "results/benchmarks/train_classifier/{code}/{classifier}/seed~{seed}.tsv"
    conda:
        "../envs/train_classifier.yaml"
    threads: config["threads"]["train"]
    resources:
        mem_mb=6000,
        runtime=720,
        gpu=gpu(),
    params:
        code=code("train_classifier"),
        threads=config["threads"]["train"],
        seed=lambda wildcards: int(wildcards.seed),
        options=config["train_classifier"],
        device=config["device"],
        resume=f"{PRUNED}/dense/resume",
    message:
        "Training {wildcards.classifier} to find defects in {wildcards.code}, seed {wildcards.seed}"
    script:
        "../workflow/scripts/train_classifier.py"


rule prune_soft:
    input:
        tokens="results/pruning/{code}/{classifier}/tokens.safetensors",
        info="results/pruning/{code}/{classifier}/tokens.json",
        model=f"{PRUNED}/dense/model",
    output:
        model=directory(f"{PRUNED}/{{pruning}}/soft/model"),
        training=f"{PRUNED}/{{pruning}}/soft/training.tsv",
        thresholds=f"{PRUNED}/{{pruning}}/soft/thresholds.tsv",
    log:
        "results/logs/prune_soft/{code}/{classifier}/seed~{seed}/{pruning}.log",
    benchmark:
        "results/benchmarks/prune_soft/{code}/{classifier}/seed~{seed}/{pruning}.tsv"
    conda:
        "../envs/prune_soft.yaml"
    threads: config["threads"]["train"]
    resources:
        mem_mb=6000,
        runtime=720,
        gpu=gpu(),
    params:
        code=code("prune_soft"),
        threads=config["threads"]["train"],
        seed=lambda wildcards: int(wildcards.seed),
        pruning=lambda wildcards: PRUNINGS[wildcards.pruning],
        options=config["prune_soft"],
        device=config["device"],
        resume=f"{PRUNED}/{{pruning}}/soft/resume",
    message:
        "Learning the thresholds of {wildcards.pruning} on {wildcards.code}, seed {wildcards.seed}"
    script:
        "../workflow/scripts/prune_soft.py"


rule prune_hard:
    input:
        tokens="results/pruning/{code}/{classifier}/tokens.safetensors",
        info="results/pruning/{code}/{classifier}/tokens.json",
        model=before_hard,
    output:
        model=directory(f"{PRUNED}/{{pruning}}/hard/model"),
        training=f"{PRUNED}/{{pruning}}/hard/training.tsv",
    log:
        "results/logs/prune_hard/{code}/{classifier}/seed~{seed}/{pruning}.log",
    benchmark:
        "results/benchmarks/prune_hard/{code}/{classifier}/seed~{seed}/{pruning}.tsv"
    conda:
        "../envs/prune_hard.yaml"
    threads: config["threads"]["train"]
    resources:
        mem_mb=6000,
        runtime=720,
        gpu=gpu(),
    params:
        code=code("prune_hard"),
        threads=config["threads"]["train"],
        seed=lambda wildcards: int(wildcards.seed),
        pruning=lambda wildcards: PRUNINGS[wildcards.pruning],
        options=config["prune_hard"],
        device=config["device"],
        resume=f"{PRUNED}/{{pruning}}/hard/resume",
    message:
        "Pruning hard with {wildcards.pruning} on {wildcards.code}, seed {wildcards.seed}"
    script:
        "../workflow/scripts/prune_hard.py"


rule evaluate_pruning:
    input:
        unpack(stages_of),
        tokens="results/pruning/{code}/{classifier}/tokens.safetensors",
        info="results/pruning/{code}/{classifier}/tokens.json",
    output:
        predictions=f"{PRUNED}/{{pruning}}/predictions.tsv",
        kept=f"{PRUNED}/{{pruning}}/kept.tsv",
    log:
        "results/logs/evaluate_pruning/{code}/{classifier}/seed~{seed}/{pruning}.log",
    benchmark:
        "results/benchmarks/evaluate_pruning/{code}/{classifier}/seed~{seed}/{pruning}.tsv"
    conda:
        "../envs/evaluate_pruning.yaml"
    threads: config["threads"]["evaluate"]
    resources:
        mem_mb=4000,
        runtime=240,
        gpu=gpu(),
    params:
        code=code("evaluate_pruning"),
        threads=config["threads"]["evaluate"],
        seed=lambda wildcards: int(wildcards.seed),
        options=config["evaluate_pruning"],
        device=config["device"],
    message:
        "Evaluating {wildcards.pruning} on the test functions of {wildcards.code}, seed {wildcards.seed}"
    script:
        "../workflow/scripts/evaluate_pruning.py"


rule time_pruning:
    input:
        tokens="results/pruning/{code}/{classifier}/tokens.safetensors",
        info="results/pruning/{code}/{classifier}/tokens.json",
        dense=f"{PRUNED}/dense/model",
        hard=f"{PRUNED}/{{pruning}}/hard/model",
    output:
        timings="results/timings/{code}/{classifier}/seed~{seed}/{pruning}.tsv",
    log:
        "results/logs/time_pruning/{code}/{classifier}/seed~{seed}/{pruning}.log",
    benchmark:
        "results/benchmarks/time_pruning/{code}/{classifier}/seed~{seed}/{pruning}.tsv"
    conda:
        "../envs/time_pruning.yaml"
    threads: config["threads"]["evaluate"]
    resources:
        mem_mb=4000,
        runtime=240,
        gpu=gpu(),
    params:
        code=code("time_pruning"),
        threads=config["threads"]["evaluate"],
        device=config["device"],
        options=config["time_pruning"],
    message:
        "Timing {wildcards.pruning} on {wildcards.code}, seed {wildcards.seed}"
    script:
        "../workflow/scripts/time_pruning.py"


rule show_pruning:
    input:
        tokens="results/pruning/{code}/{classifier}/tokens.safetensors",
        info="results/pruning/{code}/{classifier}/tokens.json",
        functions="results/code/{code}/functions.parquet",
        model=f"{PRUNED}/{{pruning}}/hard/model",
        template=source("workflow/report/tokens.html.j2"),
    output:
        page=report(
            f"{PRUNED}/{{pruning}}/tokens.html",
            caption="../workflow/report/tokens.rst",
            category="The pruned classifiers",
            labels={"page": "surviving tokens"},
        ),
    log:
        "results/logs/show_pruning/{code}/{classifier}/seed~{seed}/{pruning}.log",
    benchmark:
        "results/benchmarks/show_pruning/{code}/{classifier}/seed~{seed}/{pruning}.tsv"
    conda:
        "../envs/show_pruning.yaml"
    threads: config["threads"]["evaluate"]
    resources:
        mem_mb=4000,
        runtime=240,
        gpu=gpu(),
    params:
        code=code("show_pruning"),
        threads=config["threads"]["evaluate"],
        device=config["device"],
        batch_size=config["evaluate_pruning"]["batch_size"],
        options=config["show_pruning"],
        context=lambda wildcards: {
            "corpus": wildcards.code,
            "classifier": wildcards.classifier,
            "pruning": wildcards.pruning,
            "seed": wildcards.seed,
        },
    message:
        "Showing the tokens that survive {wildcards.pruning}, seed {wildcards.seed}"
    script:
        "../workflow/scripts/show_pruning.py"


rule export_pruned:
    input:
        tokens="results/pruning/{code}/{classifier}/tokens.safetensors",
        info="results/pruning/{code}/{classifier}/tokens.json",
        functions="results/code/{code}/functions.parquet",
        model=f"{PRUNED}/{{pruning}}/hard/model",
    output:
        parquet=f"{PRUNED}/{{pruning}}/export/pruned.parquet",
        jsonl=f"{PRUNED}/{{pruning}}/export/pruned.jsonl",
        functions=f"{PRUNED}/{{pruning}}/export/functions.parquet",
        csv=directory(f"{PRUNED}/{{pruning}}/export/csv"),
    log:
        "results/logs/export_pruned/{code}/{classifier}/seed~{seed}/{pruning}.log",
    benchmark:
        "results/benchmarks/export_pruned/{code}/{classifier}/seed~{seed}/{pruning}.tsv"
    conda:
        "../envs/export_pruned.yaml"
    threads: config["threads"]["evaluate"]
    resources:
        mem_mb=4000,
        runtime=240,
        gpu=gpu(),
    params:
        code=code("export_pruned"),
        threads=config["threads"]["evaluate"],
        device=config["device"],
        batch_size=config["export_pruned"]["batch_size"],
    message:
        "Exporting {wildcards.code} as {wildcards.pruning} leaves it, seed {wildcards.seed}"
    script:
        "../workflow/scripts/export_pruned.py"


rule retrain_pruned:
    input:
        functions=f"{PRUNED}/{{pruning}}/export/functions.parquet",
        predictions=f"{PRUNED}/{{pruning}}/predictions.tsv",
        model=receipt(CLASSIFIER),
    output:
        training=f"{PRUNED}/{{pruning}}/retrained/training.tsv",
        predictions=f"{PRUNED}/{{pruning}}/retrained/predictions.tsv",
        kept=f"{PRUNED}/{{pruning}}/retrained/kept.tsv",
    log:
        "results/logs/retrain_pruned/{code}/{classifier}/seed~{seed}/{pruning}.log",
    benchmark:
        "results/benchmarks/retrain_pruned/{code}/{classifier}/seed~{seed}/{pruning}.tsv"
    conda:
        "../envs/retrain_pruned.yaml"
    threads: config["threads"]["train"]
    resources:
        mem_mb=6000,
        runtime=720,
        gpu=gpu(),
    params:
        code=code("retrain_pruned"),
        threads=config["threads"]["train"],
        seed=lambda wildcards: int(wildcards.seed),
        max_tokens=config["tokenise_code"]["max_tokens"],
        options=config["train_classifier"],
        device=config["device"],
        resume=f"{PRUNED}/{{pruning}}/retrained/resume",
    message:
        "Training anew on what {wildcards.pruning} leaves of {wildcards.code}, seed {wildcards.seed}"
    script:
        "../workflow/scripts/retrain_pruned.py"


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
