CLUSTERED = f"results/centroids/{RUN}/{{projection}}/{{clustering}}/clusters.safetensors"

if config["fit_clusters"]["source"]:

    rule import_clusters:
        input:
            source=receipt(IMPORTED["clusters"]),
            qk_train=train_split_for(CLUSTERED, imports=True),
            projections=projections_of,
        output:
            clusters=f"results/centroids/{RUN}/{{projection}}/{{clustering}}/clusters.safetensors",
            imported=f"results/centroids/{RUN}/{{projection}}/{{clustering}}/imported.json",
        log:
            f"results/logs/import_clusters/{RUN}/{{projection}}/{{clustering}}.log",
        benchmark:
            f"results/benchmarks/import_clusters/{RUN}/{{projection}}/{{clustering}}.tsv"
        conda:
            "../envs/import_clusters.yaml"
        threads: 1
        resources:
            mem_mb=2000,
            runtime=10,
        params:
            code=code("import_clusters"),
            setting=lambda wildcards: CLUSTERINGS[wildcards.clustering],
            block_size=lambda wildcards: segments.block_size_of(wildcards.projection),
        message:
            "Reading centroids {wildcards.clustering}, {wildcards.projection}, seed {wildcards.seed}"
        script:
            "../workflow/scripts/import_clusters.py"

else:

    rule fit_clusters:
        input:
            qk_train=train_split_for(CLUSTERED, imports=False),
            projections=projections_of,
        output:
            clusters=f"results/centroids/{RUN}/{{projection}}/{{clustering}}/clusters.safetensors",
            inertia=f"results/centroids/{RUN}/{{projection}}/{{clustering}}/inertia.tsv",
        log:
            f"results/logs/fit_clusters/{RUN}/{{projection}}/{{clustering}}.log",
        benchmark:
            f"results/benchmarks/fit_clusters/{RUN}/{{projection}}/{{clustering}}.tsv"
        conda:
            "../envs/fit_clusters.yaml"
        threads: config["threads"]["fit"]
        resources:
            mem_mb=3000,
            runtime=240,
        params:
            code=code("fit_clusters"),
            threads=config["threads"]["fit"],
            setting=lambda wildcards: CLUSTERINGS[wildcards.clustering],
            block_size=lambda wildcards: segments.block_size_of(wildcards.projection),
            options=config["fit_clusters"],
            seed=lambda wildcards: int(wildcards.seed),
        message:
            "Clustering queries and keys, {wildcards.clustering}, {wildcards.projection}, seed {wildcards.seed}"
        script:
            "../workflow/scripts/fit_clusters.py"
