# inputs and params of every job that runs a predictor
PREDICTOR_INPUTS = {
    "qk": f"results/qk/{RUN}/validation",
    "gold": f"results/gold/{RUN}/validation",
    "qk_train": PLAN.qk_train_of,
    "gold_train": PLAN.gold_train_of,
    "projections": PLAN.projections_of,
    "centroids": PLAN.centroids_of,
}
PREDICTOR_PARAMS = {
    "threads": config["threads"]["evaluate"],
    "predictor": lambda wildcards: wildcards.predictor,
    "grid": lambda wildcards: PLAN.job_of(wildcards).grid,
    "fixed": lambda wildcards: PLAN.job_of(wildcards).fixed,
    "block_size": lambda wildcards: block_size_of(wildcards.projection),
    "device": config["device"],
    "seed": lambda wildcards: int(wildcards.seed),
}


rule evaluate_predictor:
    input:
        **PREDICTOR_INPUTS,
    output:
        table=f"results/predictors/{POINT}.tsv",
        documents=f"results/documents/{POINT}.tsv",
        offsets=f"results/offsets/{POINT}.tsv",
    log:
        log_of("evaluate_predictor", POINT),
    benchmark:
        benchmark_of("evaluate_predictor", POINT)
    conda:
        "../envs/evaluate_predictor.yaml"
    threads: config["threads"]["evaluate"]
    resources:
        **growing(mem_mb=2000, runtime=240),
        gpu=GPU,
    params:
        **PREDICTOR_PARAMS,
        code=lambda wildcards: code("evaluate_predictor", discover()[wildcards.predictor].plugin, *METRIC_MODULES),
        windows=config["evaluate"]["windows"],
        keep=config["evaluate"]["keep"],
    message:
        "Evaluating {wildcards.predictor}, {wildcards.point}, {wildcards.projection}, seed {wildcards.seed}"
    script:
        "../workflow/scripts/evaluate_predictor.py"


rule analyse_buckets:
    input:
        **PREDICTOR_INPUTS,
    output:
        buckets=f"results/buckets/{POINT}.tsv",
        common=f"results/common/{POINT}.tsv",
    log:
        log_of("analyse_buckets", POINT),
    benchmark:
        benchmark_of("analyse_buckets", POINT)
    conda:
        "../envs/analyse_buckets.yaml"
    threads: config["threads"]["evaluate"]
    resources:
        **growing(mem_mb=2000, runtime=120),
        gpu=GPU,
    params:
        **PREDICTOR_PARAMS,
        code=lambda wildcards: code("analyse_buckets", discover()[wildcards.predictor].plugin),
        examples=config["analyse_buckets"]["examples"],
    message:
        "Analysing the buckets of {wildcards.predictor}, {wildcards.point}, {wildcards.projection}, seed {wildcards.seed}"
    script:
        "../workflow/scripts/analyse_buckets.py"
