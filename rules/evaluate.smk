rule evaluate_predictor:
    input:
        qk=f"results/qk/{RUN}/validation",
        gold=f"results/gold/{RUN}/validation",
        qk_train=train_split_of("qk"),
        gold_train=train_split_of("gold"),
        projections=projections_of,
        centroids=centroids_of,
    output:
        table=f"results/predictors/{RUN}/{{projection}}/{{predictor}}/{{point}}.tsv",
        documents=f"results/documents/{RUN}/{{projection}}/{{predictor}}/{{point}}.tsv",
        offsets=f"results/offsets/{RUN}/{{projection}}/{{predictor}}/{{point}}.tsv",
    log:
        f"results/logs/evaluate_predictor/{RUN}/{{projection}}/{{predictor}}/{{point}}.log",
    benchmark:
        f"results/benchmarks/evaluate_predictor/{RUN}/{{projection}}/{{predictor}}/{{point}}.tsv"
    conda:
        "../envs/evaluate_predictor.yaml"
    threads: config["threads"]["evaluate"]
    resources:
        mem_mb=2000,
        runtime=240,
        gpu=gpu(),
    params:
        code=lambda wildcards: code("evaluate_predictor", discover()[wildcards.predictor].plugin, *METRICS),
        threads=config["threads"]["evaluate"],
        predictor=lambda wildcards: wildcards.predictor,
        grid=lambda wildcards: job_of(wildcards).grid,
        fixed=lambda wildcards: job_of(wildcards).fixed,
        block_size=lambda wildcards: segments.block_size_of(wildcards.projection),
        windows=config["evaluate"]["windows"],
        keep=config["evaluate"]["keep"],
        device=config["device"],
        seed=lambda wildcards: int(wildcards.seed),
    message:
        "Evaluating {wildcards.predictor}, {wildcards.point}, {wildcards.projection}, seed {wildcards.seed}"
    script:
        "../workflow/scripts/evaluate_predictor.py"
