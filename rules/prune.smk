rule train_classifier:
    input:
        **CODE_TOKENS,
        model=PLAN.classifier.receipt,
    output:
        model=directory(f"{PRUNED}/dense/model"),
        training=f"{PRUNED}/dense/training.tsv",
    log:
        log_of("train_classifier", CLASSIFIER_RUN),
    benchmark:
        benchmark_of("train_classifier", CLASSIFIER_RUN)
    priority: 1
    conda:
        "../envs/train_classifier.yaml"
    threads: config["threads"]["train"]
    resources:
        **TRAINING_RESOURCES,
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
        **CODE_TOKENS,
        dense=f"{PRUNED}/dense/model",
    output:
        predictions=f"{PRUNED}/dense/predictions.tsv",
        kept=f"{PRUNED}/dense/kept.tsv",
        weights=f"{PRUNED}/dense/token_weights.safetensors",
    log:
        log_of("evaluate_dense", CLASSIFIER_RUN),
    benchmark:
        benchmark_of("evaluate_dense", CLASSIFIER_RUN)
    conda:
        "../envs/evaluate_dense.yaml"
    threads: config["threads"]["evaluate"]
    resources:
        **CLASSIFYING_RESOURCES,
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
        **CODE_TOKENS,
        model=f"{PRUNED}/dense/model",
    output:
        model=directory(f"results/pruning/{PRUNING}/soft/model"),
        training=f"results/pruning/{PRUNING}/soft/training.tsv",
        thresholds=f"results/pruning/{PRUNING}/soft/thresholds.tsv",
    log:
        log_of("prune_soft", PRUNING),
    benchmark:
        benchmark_of("prune_soft", PRUNING)
    priority: 1
    conda:
        "../envs/prune_soft.yaml"
    threads: config["threads"]["train"]
    resources:
        **TRAINING_RESOURCES,
    params:
        code=lambda wildcards: code("prune_soft", grids.score_module(PLAN.prunings[wildcards.pruning])),
        threads=config["threads"]["train"],
        seed=lambda wildcards: int(wildcards.seed),
        pruning=lambda wildcards: PLAN.prunings[wildcards.pruning],
        options=config["prune_soft"],
        device=config["device"],
        resume=f"results/pruning/{PRUNING}/soft/resume",
    message:
        "Learning the thresholds of {wildcards.pruning} on {wildcards.code}, seed {wildcards.seed}"
    script:
        "../workflow/scripts/prune_soft.py"


rule prune_hard:
    input:
        **CODE_TOKENS,
        model=PLAN.before_hard,
    output:
        model=directory(f"results/pruning/{PRUNING}/hard/model"),
        training=f"results/pruning/{PRUNING}/hard/training.tsv",
    log:
        log_of("prune_hard", PRUNING),
    benchmark:
        benchmark_of("prune_hard", PRUNING)
    conda:
        "../envs/prune_hard.yaml"
    threads: config["threads"]["train"]
    resources:
        **TRAINING_RESOURCES,
    params:
        code=lambda wildcards: code("prune_hard", grids.score_module(PLAN.prunings[wildcards.pruning])),
        threads=config["threads"]["train"],
        seed=lambda wildcards: int(wildcards.seed),
        pruning=lambda wildcards: PLAN.prunings[wildcards.pruning],
        options=config["prune_hard"],
        device=config["device"],
        resume=f"results/pruning/{PRUNING}/hard/resume",
    message:
        "Pruning hard with {wildcards.pruning} on {wildcards.code}, seed {wildcards.seed}"
    script:
        "../workflow/scripts/prune_hard.py"
