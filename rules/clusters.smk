CLUSTERS = f"results/centroids/{CLUSTERING}/clusters.safetensors"

if config["fit_clusters"]["source"]:

    rule import_clusters:
        input:
            source=PLAN.imported["clusters"].receipt,
            shape=made_from(SHAPE, CLUSTERS, imports=True),
            projections=PLAN.projections_of,
        output:
            clusters=CLUSTERS,
            imported=f"results/centroids/{CLUSTERING}/imported.json",
        log:
            log_of("import_clusters", CLUSTERING),
        benchmark:
            benchmark_of("import_clusters", CLUSTERING)
        conda:
            "../envs/import_clusters.yaml"
        resources:
            **growing(mem_mb=2000, runtime=10),
        params:
            code=code("import_clusters"),
            setting=lambda wildcards: PLAN.clusterings[wildcards.clustering],
            block_size=lambda wildcards: block_size_of(wildcards.projection),
        message:
            "Reading centroids {wildcards.clustering}, {wildcards.projection}, seed {wildcards.seed}"
        script:
            "../workflow/scripts/import_clusters.py"

else:

    rule fit_clusters:
        input:
            qk_train=made_from(f"results/qk/{RUN}/train", CLUSTERS, imports=False),
            projections=PLAN.projections_of,
        output:
            clusters=CLUSTERS,
            inertia=f"results/centroids/{CLUSTERING}/inertia.tsv",
        log:
            log_of("fit_clusters", CLUSTERING),
        benchmark:
            benchmark_of("fit_clusters", CLUSTERING)
        conda:
            "../envs/fit_clusters.yaml"
        threads: config["threads"]["fit"]
        resources:
            **growing(mem_mb=3000, runtime=240),
        params:
            code=code("fit_clusters"),
            threads=config["threads"]["fit"],
            setting=lambda wildcards: PLAN.clusterings[wildcards.clustering],
            block_size=lambda wildcards: block_size_of(wildcards.projection),
            options=config["fit_clusters"],
            seed=lambda wildcards: int(wildcards.seed),
        message:
            "Clustering queries and keys, {wildcards.clustering}, {wildcards.projection}, seed {wildcards.seed}"
        script:
            "../workflow/scripts/fit_clusters.py"


rule export_centroids:
    input:
        clusters=CLUSTERS,
        qk_validation=f"results/qk/{RUN}/validation",
        projections=PLAN.projections_of,
    output:
        centroids=f"results/centroids/{CLUSTERING}/centroids.safetensors",
        original=f"results/centroids/{CLUSTERING}/centroids.pt",
        agreement=f"results/centroids/{CLUSTERING}/agreement.tsv",
    log:
        log_of("export_centroids", CLUSTERING),
    benchmark:
        benchmark_of("export_centroids", CLUSTERING)
    conda:
        "../envs/export_centroids.yaml"
    threads: config["threads"]["evaluate"]
    resources:
        **growing(mem_mb=2000, runtime=60),
    params:
        code=code("export_centroids"),
        threads=config["threads"]["evaluate"],
        block_size=lambda wildcards: block_size_of(wildcards.projection),
    message:
        "Exporting centroids {wildcards.clustering}, {wildcards.projection}, seed {wildcards.seed}"
    script:
        "../workflow/scripts/export_centroids.py"
