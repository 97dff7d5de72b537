rule prepare:
    input:
        receipt=PLAN.text.receipt,
    output:
        documents="results/data/{corpus}/documents.jsonl",
        splits="results/data/{corpus}/splits.json",
        statistics="results/data/{corpus}/statistics.tsv",
    log:
        log_of("prepare", "{corpus}"),
    benchmark:
        benchmark_of("prepare", "{corpus}")
    conda:
        "../envs/prepare.yaml"
    resources:
        **growing(mem_mb=2000, runtime=60),
    params:
        code=lambda wildcards: code("prepare", settings.reader_module(config, "corpus")),
        entry=lambda wildcards: settings.own_settings(config, "corpus"),
        options=config["prepare"],
    message:
        "Cleaning and splitting the documents of {wildcards.corpus}"
    script:
        "../workflow/scripts/prepare.py"


# the blocks of tokens of a text, read by all rules that follow
BLOCKS = {
    "blocks": "results/data/{corpus}/{model}/blocks.safetensors",
    "info": "results/data/{corpus}/{model}/blocks.json",
}


rule tokenise:
    input:
        documents="results/data/{corpus}/documents.jsonl",
        model=PLAN.model.receipt,
    output:
        **BLOCKS,
        statistics="results/data/{corpus}/{model}/statistics.tsv",
    log:
        log_of("tokenise", "{corpus}/{model}"),
    benchmark:
        benchmark_of("tokenise", "{corpus}/{model}")
    conda:
        "../envs/tokenise.yaml"
    resources:
        **growing(mem_mb=2000, runtime=60),
    params:
        code=code("tokenise"),
        length=config["blocks"]["length"],
        min_length=config["blocks"]["min_length"],
    message:
        "Cutting {wildcards.corpus} into blocks of {params.length} tokens of {wildcards.model}"
    script:
        "../workflow/scripts/tokenise.py"
