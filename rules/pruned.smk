rule evaluate_pruning:
    input:
        unpack(stages_of),
        tokens="results/pruning/{code}/{classifier}/tokens.safetensors",
        info="results/pruning/{code}/{classifier}/tokens.json",
        dense_predictions=f"{PRUNED}/dense/predictions.tsv",
        dense_kept=f"{PRUNED}/dense/kept.tsv",
        weights=f"{PRUNED}/dense/token_weights.safetensors",
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
        code=lambda wildcards: code("evaluate_pruning", grids.score_module(PRUNINGS[wildcards.pruning])),
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
        code=lambda wildcards: code("time_pruning", grids.score_module(PRUNINGS[wildcards.pruning])),
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
        code=lambda wildcards: code("show_pruning", grids.score_module(PRUNINGS[wildcards.pruning])),
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
        code=lambda wildcards: code("export_pruned", grids.score_module(PRUNINGS[wildcards.pruning])),
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
