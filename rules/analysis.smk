# Looks inside predictors, beside what they predict.
QUANTIZING = [job for job in JOBS if discover()[job.predictor].quantizes]


rule analyse_buckets:
    input:
        qk=f"results/qk/{RUN}/validation",
        gold=f"results/gold/{RUN}/validation",
        qk_train=train_split_of("qk"),
        gold_train=train_split_of("gold"),
        projections=projections_of,
        centroids=centroids_of,
    output:
        buckets=f"results/buckets/{RUN}/{{projection}}/{{predictor}}/{{point}}.tsv",
        common=f"results/common/{RUN}/{{projection}}/{{predictor}}/{{point}}.tsv",
    log:
        f"results/logs/analyse_buckets/{RUN}/{{projection}}/{{predictor}}/{{point}}.log",
    benchmark:
        f"results/benchmarks/analyse_buckets/{RUN}/{{projection}}/{{predictor}}/{{point}}.tsv"
    conda:
        "../envs/analyse_buckets.yaml"
    threads: config["threads"]["evaluate"]
    resources:
        mem_mb=2000,
        runtime=120,
        gpu=gpu(),
    params:
        code=lambda wildcards: code("analyse_buckets", discover()[wildcards.predictor].plugin),
        threads=config["threads"]["evaluate"],
        predictor=lambda wildcards: wildcards.predictor,
        grid=lambda wildcards: job_of(wildcards).grid,
        fixed=lambda wildcards: job_of(wildcards).fixed,
        block_size=lambda wildcards: grids.block_size_of(wildcards.projection),
        examples=config["analyse_buckets"]["examples"],
        device=config["device"],
        seed=lambda wildcards: int(wildcards.seed),
    message:
        "Looking at the buckets of {wildcards.predictor}, {wildcards.point}, {wildcards.projection}, seed {wildcards.seed}"
    script:
        "../workflow/scripts/analyse_buckets.py"
