rule prepare_code:
    input:
        receipt=receipt(CODE),
    output:
        functions="results/code/{code}/functions.parquet",
        statistics="results/code/{code}/statistics.tsv",
        intake="results/code/{code}/intake.tsv",
    log:
        "results/logs/prepare_code/{code}.log",
    benchmark:
        "results/benchmarks/prepare_code/{code}.tsv"
    conda:
        "../envs/prepare_code.yaml"
    threads: config["threads"]["prepare"]
    resources:
        mem_mb=3000,
        runtime=120,
    params:
        code=lambda wildcards: code("prepare_code", settings.reader_module(config, "code")),
        threads=config["threads"]["prepare"],
        entry=lambda wildcards: settings.own_settings(config, "code"),
        options=config["prepare_code"],
    message:
        "Reading, labelling and splitting the functions of {wildcards.code}"
    script:
        "../workflow/scripts/prepare_code.py"


rule evaluate_text_baselines:
    input:
        functions="results/code/{code}/functions.parquet",
    output:
        table="results/code/{code}/text_baselines.tsv",
    log:
        "results/logs/evaluate_text_baselines/{code}.log",
    benchmark:
        "results/benchmarks/evaluate_text_baselines/{code}.tsv"
    conda:
        "../envs/evaluate_text_baselines.yaml"
    threads: 1
    resources:
        mem_mb=3000,
        runtime=60,
    params:
        code=code("evaluate_text_baselines"),
        seed=config["prepare_code"]["split"]["seed"],
    message:
        "Classifying {wildcards.code} without a neural network"
    script:
        "../workflow/scripts/evaluate_text_baselines.py"


rule summarise_code:
    input:
        code=f"results/code/{config['code']}/statistics.tsv",
        code_intake=f"results/code/{config['code']}/intake.tsv",
        text_baselines=f"results/code/{config['code']}/text_baselines.tsv",
    output:
        code=table_of("code", "The code"),
        code_intake=table_of("code_intake", "The code"),
        text_baselines=table_of("text_baselines", "The code"),
    log:
        "results/logs/summarise_code.log",
    benchmark:
        "results/benchmarks/summarise_code.tsv"
    conda:
        "../envs/summarise_code.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        code=code("summarise_code"),
        corpus=config["code"],
    message:
        "Describing the code"
    script:
        "../workflow/scripts/summarise_code.py"
