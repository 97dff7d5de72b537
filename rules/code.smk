rule prepare_code:
    input:
        receipt=PLAN.code.receipt,
    output:
        functions="results/code/{code}/functions.parquet",
        statistics="results/code/{code}/statistics.tsv",
        intake="results/code/{code}/intake.tsv",
    log:
        log_of("prepare_code", "{code}"),
    benchmark:
        benchmark_of("prepare_code", "{code}")
    priority: 1  # the longest chain of jobs starts here
    conda:
        "../envs/prepare_code.yaml"
    threads: config["threads"]["prepare"]
    resources:
        **growing(mem_mb=3000, runtime=120),
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
        log_of("evaluate_text_baselines", "{code}"),
    benchmark:
        benchmark_of("evaluate_text_baselines", "{code}")
    conda:
        "../envs/evaluate_text_baselines.yaml"
    resources:
        **growing(mem_mb=3000, runtime=60),
    params:
        code=code("evaluate_text_baselines"),
        seed=config["prepare_code"]["split"]["seed"],
    message:
        "Classifying {wildcards.code} without a neural network"
    script:
        "../workflow/scripts/evaluate_text_baselines.py"


# the tokens of the functions, read by all rules that follow
CODE_TOKENS = {
    "tokens": f"results/pruning/{CLASSIFIER}/tokens.safetensors",
    "info": f"results/pruning/{CLASSIFIER}/tokens.json",
}
LONGFORMER = grids.longformer_of(config)


rule tokenise_code:
    input:
        functions="results/code/{code}/functions.parquet",
        model=PLAN.classifier.receipt,
    output:
        **CODE_TOKENS,
        statistics=f"results/pruning/{CLASSIFIER}/statistics.tsv",
    log:
        log_of("tokenise_code", CLASSIFIER),
    benchmark:
        benchmark_of("tokenise_code", CLASSIFIER)
    priority: 1
    conda:
        "../envs/tokenise_code.yaml"
    resources:
        **growing(mem_mb=2000, runtime=60),
    params:
        code=code("tokenise_code"),
        max_tokens=config["tokenise_code"]["max_tokens"],
        layers=LONGFORMER and LONGFORMER["layers"],
    message:
        "Cutting the functions of {wildcards.code} to {params.max_tokens} tokens of {wildcards.classifier}"
    script:
        "../workflow/scripts/tokenise_code.py"
