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
        block_size=lambda wildcards: segments.block_size_of(wildcards.projection),
        examples=config["analyse_buckets"]["examples"],
        device=config["device"],
        seed=lambda wildcards: int(wildcards.seed),
    message:
        "Looking at the buckets of {wildcards.predictor}, {wildcards.point}, {wildcards.projection}, seed {wildcards.seed}"
    script:
        "../workflow/scripts/analyse_buckets.py"


if QUANTIZING:

    rule summarise_buckets:
        input:
            buckets=of_jobs("buckets", QUANTIZING),
            common=of_jobs("common", QUANTIZING),
        output:
            buckets=table_of("buckets", "The buckets"),
            common_buckets=table_of("common_buckets", "The buckets"),
        log:
            "results/logs/summarise_buckets.log",
        benchmark:
            "results/benchmarks/summarise_buckets.tsv"
        conda:
            "../envs/summarise_buckets.yaml"
        threads: 1
        resources:
            mem_mb=1000,
            runtime=30,
        params:
            code=code("summarise_buckets"),
            runs=runs_of(QUANTIZING),
        message:
            "Averaging the buckets over seeds"
        script:
            "../workflow/scripts/summarise_buckets.py"

    rule plot_buckets:
        input:
            buckets="results/tables/buckets.tsv",
            common_buckets="results/tables/common_buckets.tsv",
        output:
            entropy=figure_of("bucket_entropy", "The buckets"),
            common=figure_of("bucket_distances", "The buckets"),
        log:
            "results/logs/plot_buckets.log",
        benchmark:
            "results/benchmarks/plot_buckets.tsv"
        conda:
            "../envs/plot_buckets.yaml"
        threads: 1
        resources:
            mem_mb=1000,
            runtime=10,
        params:
            code=code("plot_buckets"),
            context=CONTEXT,
            sparsity=config["figures"]["heatmap"]["sparsity"],
        message:
            "Drawing what is in the buckets"
        script:
            "../workflow/scripts/plot_buckets.py"
