# The pruned data set: the surviving text of every function, and a classifier that is trained on it.
rule export_pruned:
    input:
        **CODE_TOKENS,
        functions="results/code/{code}/functions.parquet",
        model=f"results/pruning/{PRUNING}/hard/model",
    output:
        parquet=f"results/pruning/{PRUNING}/export/pruned.parquet",
        jsonl=f"results/pruning/{PRUNING}/export/pruned.jsonl",
        functions=f"results/pruning/{PRUNING}/export/functions.parquet",
        csv=directory(f"results/pruning/{PRUNING}/export/csv"),
    log:
        log_of("export_pruned", PRUNING),
    benchmark:
        benchmark_of("export_pruned", PRUNING)
    conda:
        "../envs/export_pruned.yaml"
    threads: config["threads"]["evaluate"]
    resources:
        **CLASSIFYING_RESOURCES,
    params:
        code=lambda wildcards: code("export_pruned", grids.score_module(PLAN.prunings[wildcards.pruning])),
        threads=config["threads"]["evaluate"],
        device=config["device"],
        batch_size=config["export_pruned"]["batch_size"],
    message:
        "Exporting {wildcards.code} as {wildcards.pruning} leaves it, seed {wildcards.seed}"
    script:
        "../workflow/scripts/export_pruned.py"


rule retrain_pruned:
    input:
        functions=f"results/pruning/{PRUNING}/export/functions.parquet",
        predictions=f"results/pruning/{PRUNING}/predictions.tsv",
        model=PLAN.classifier.receipt,
    output:
        training=f"results/pruning/{PRUNING}/retrained/training.tsv",
        predictions=f"results/pruning/{PRUNING}/retrained/predictions.tsv",
        kept=f"results/pruning/{PRUNING}/retrained/kept.tsv",
    log:
        log_of("retrain_pruned", PRUNING),
    benchmark:
        benchmark_of("retrain_pruned", PRUNING)
    conda:
        "../envs/retrain_pruned.yaml"
    threads: config["threads"]["train"]
    resources:
        **TRAINING_RESOURCES,
    params:
        code=code("retrain_pruned"),
        threads=config["threads"]["train"],
        seed=lambda wildcards: int(wildcards.seed),
        max_tokens=config["tokenise_code"]["max_tokens"],
        options=config["train_classifier"],
        device=config["device"],
        resume=f"results/pruning/{PRUNING}/retrained/resume",
    message:
        "Retraining on what {wildcards.pruning} leaves of {wildcards.code}, seed {wildcards.seed}"
    script:
        "../workflow/scripts/retrain_pruned.py"
