CENTROIDS = (
    of_runs(
        f"results/centroids/{RUN}/{{projection}}/{{clustering}}/centroids.pt",
        projection=PROJECTIONS,
        clustering=CLUSTERINGS,
    )
    if CLUSTERINGS
    else []
)


rule export_centroids:
    input:
        clusters=f"results/centroids/{RUN}/{{projection}}/{{clustering}}/clusters.safetensors",
        qk_validation=f"results/qk/{RUN}/validation",
        projections=projections_of,
    output:
        centroids=f"results/centroids/{RUN}/{{projection}}/{{clustering}}/centroids.safetensors",
        original=f"results/centroids/{RUN}/{{projection}}/{{clustering}}/centroids.pt",
        agreement=f"results/centroids/{RUN}/{{projection}}/{{clustering}}/agreement.tsv",
    log:
        f"results/logs/export_centroids/{RUN}/{{projection}}/{{clustering}}.log",
    benchmark:
        f"results/benchmarks/export_centroids/{RUN}/{{projection}}/{{clustering}}.tsv"
    conda:
        "../envs/export_centroids.yaml"
    threads: config["threads"]["evaluate"]
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        code=code("export_centroids"),
        threads=config["threads"]["evaluate"],
        block_size=lambda wildcards: segments.block_size_of(wildcards.projection),
    message:
        "Exporting centroids {wildcards.clustering}, {wildcards.projection}, seed {wildcards.seed}"
    script:
        "../workflow/scripts/export_centroids.py"
