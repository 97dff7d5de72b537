rule evaluate_pruning:
    input:
        unpack(PLAN.stages_of),
        **CODE_TOKENS,
        dense_predictions=f"{PRUNED}/dense/predictions.tsv",
        dense_kept=f"{PRUNED}/dense/kept.tsv",
        weights=f"{PRUNED}/dense/token_weights.safetensors",
    output:
        predictions=f"results/pruning/{PRUNING}/predictions.tsv",
        kept=f"results/pruning/{PRUNING}/kept.tsv",
    log:
        log_of("evaluate_pruning", PRUNING),
    benchmark:
        benchmark_of("evaluate_pruning", PRUNING)
    conda:
        "../envs/evaluate_pruning.yaml"
    threads: config["threads"]["evaluate"]
    resources:
        **CLASSIFYING_RESOURCES,
    params:
        code=lambda wildcards: code("evaluate_pruning", grids.score_module(PLAN.prunings[wildcards.pruning])),
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
        **CODE_TOKENS,
        dense=f"{PRUNED}/dense/model",
        hard=f"results/pruning/{PRUNING}/hard/model",
    output:
        timings=f"results/timings/{PRUNING}.tsv",
    log:
        log_of("time_pruning", PRUNING),
    benchmark:
        benchmark_of("time_pruning", PRUNING)
    conda:
        "../envs/time_pruning.yaml"
    threads: config["threads"]["evaluate"]
    resources:
        **CLASSIFYING_RESOURCES,
    params:
        code=lambda wildcards: code("time_pruning", grids.score_module(PLAN.prunings[wildcards.pruning])),
        threads=config["threads"]["evaluate"],
        device=config["device"],
        options=config["time_pruning"],
    message:
        "Timing {wildcards.pruning} on {wildcards.code}, seed {wildcards.seed}"
    script:
        "../workflow/scripts/time_pruning.py"


rule show_pruning:
    input:
        **CODE_TOKENS,
        functions="results/code/{code}/functions.parquet",
        model=f"results/pruning/{PRUNING}/hard/model",
        template=source("workflow/report/tokens.html.j2"),
    output:
        page=report(
            f"results/pruning/{PRUNING}/tokens.html",
            caption="../workflow/report/tokens.rst",
            category="The pruned classifiers",
            labels={"page": "surviving tokens"},
        ),
    log:
        log_of("show_pruning", PRUNING),
    benchmark:
        benchmark_of("show_pruning", PRUNING)
    conda:
        "../envs/show_pruning.yaml"
    threads: config["threads"]["evaluate"]
    resources:
        **CLASSIFYING_RESOURCES,
    params:
        code=lambda wildcards: code("show_pruning", grids.score_module(PLAN.prunings[wildcards.pruning])),
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
