# what the classifier is made into; none where it keeps its own architecture
LONGFORMER = None if config["train_classifier"]["source"] else config["train_classifier"]["longformer"]


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
        layers=LONGFORMER and LONGFORMER["layers"],
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
    priority: 1  # the longest chain of jobs begins here
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


rule evaluate_dense:
    input:
        tokens="results/pruning/{code}/{classifier}/tokens.safetensors",
        info="results/pruning/{code}/{classifier}/tokens.json",
        dense=f"{PRUNED}/dense/model",
    output:
        predictions=f"{PRUNED}/dense/predictions.tsv",
        kept=f"{PRUNED}/dense/kept.tsv",
        weights=f"{PRUNED}/dense/token_weights.safetensors",
    log:
        "results/logs/evaluate_dense/{code}/{classifier}/seed~{seed}.log",
    benchmark:
        "results/benchmarks/evaluate_dense/{code}/{classifier}/seed~{seed}.tsv"
    conda:
        "../envs/evaluate_dense.yaml"
    threads: config["threads"]["evaluate"]
    resources:
        mem_mb=4000,
        runtime=240,
        gpu=gpu(),
    params:
        code=code("evaluate_dense", grids.score_module()),
        threads=config["threads"]["evaluate"],
        batch_size=config["evaluate_pruning"]["batch_size"],
        device=config["device"],
    message:
        "Evaluating the dense classifier on the test functions of {wildcards.code}, seed {wildcards.seed}"
    script:
        "../workflow/scripts/evaluate_dense.py"


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
    priority: 1
    conda:
        "../envs/prune_soft.yaml"
    threads: config["threads"]["train"]
    resources:
        mem_mb=6000,
        runtime=720,
        gpu=gpu(),
    params:
        code=lambda wildcards: code("prune_soft", grids.score_module(PRUNINGS[wildcards.pruning])),
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
        code=lambda wildcards: code("prune_hard", grids.score_module(PRUNINGS[wildcards.pruning])),
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
