rule measure_deviations:
    input:
        **GOLD_AND_VALIDATION,
        qk_train=f"results/qk/{RUN}/train",
    output:
        table=f"results/deviations/{RUN}.tsv",
    log:
        log_of("measure_deviations", RUN),
    benchmark:
        benchmark_of("measure_deviations", RUN)
    conda:
        "../envs/measure_deviations.yaml"
    threads: config["threads"]["evaluate"]
    resources:
        **growing(mem_mb=3000, runtime=60),
    params:
        code=code("measure_deviations", *METRIC_MODULES),
        threads=config["threads"]["evaluate"],
        layers=config["deviations"]["layers"],
        examples=config["deviations"]["examples"],
        options=config["fit_projections"],
        seed=lambda wildcards: int(wildcards.seed),
    message:
        "Measuring what the quirks of the published code change, {wildcards.attention}, seed {wildcards.seed}"
    script:
        "../workflow/scripts/measure_deviations.py"
