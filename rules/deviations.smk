if config["deviations"]:

    rule measure_deviations:
        input:
            qk_train=f"results/qk/{RUN}/train",
            gold_train=f"results/gold/{RUN}/train",
            qk_validation=f"results/qk/{RUN}/validation",
            gold_validation=f"results/gold/{RUN}/validation",
        output:
            table=f"results/deviations/{RUN}.tsv",
        log:
            f"results/logs/measure_deviations/{RUN}.log",
        benchmark:
            f"results/benchmarks/measure_deviations/{RUN}.tsv"
        conda:
            "../envs/measure_deviations.yaml"
        threads: config["threads"]["evaluate"]
        resources:
            mem_mb=3000,
            runtime=60,
        params:
            code=code("measure_deviations", *METRICS),
            threads=config["threads"]["evaluate"],
            layers=config["deviations"]["layers"],
            examples=config["deviations"]["examples"],
            options=config["fit_projections"],
            seed=lambda wildcards: int(wildcards.seed),
        message:
            "Measuring what the quirks of the published code change, {wildcards.attention}, seed {wildcards.seed}"
        script:
            "../workflow/scripts/measure_deviations.py"

    rule summarise_deviations:
        input:
            deviations=[f"{folder_of('deviations', run)}.tsv" for run in SEEDS],
        output:
            deviations=table_of("deviations", "The published code"),
        log:
            "results/logs/summarise_deviations.log",
        benchmark:
            "results/benchmarks/summarise_deviations.tsv"
        conda:
            "../envs/summarise_deviations.yaml"
        threads: 1
        resources:
            mem_mb=1000,
            runtime=10,
        params:
            code=code("summarise_deviations"),
            runs=SEEDS,
        message:
            "Averaging the quirks of the published code over seeds"
        script:
            "../workflow/scripts/summarise_deviations.py"
