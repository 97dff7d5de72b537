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
