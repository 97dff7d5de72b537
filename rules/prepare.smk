rule prepare:
    input:
        receipt=receipt(TEXT),
    output:
        documents="results/data/{corpus}/documents.jsonl",
        splits="results/data/{corpus}/splits.json",
        statistics="results/data/{corpus}/statistics.tsv",
    log:
        "results/logs/prepare/{corpus}.log",
    benchmark:
        "results/benchmarks/prepare/{corpus}.tsv"
    conda:
        "../envs/prepare.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        code=lambda wildcards: code("prepare", settings.reader_module(config, "corpus")),
        entry=lambda wildcards: settings.own_settings(config, "corpus"),
        options=config["prepare"],
    message:
        "Cleaning and splitting the documents of {wildcards.corpus}"
    script:
        "../workflow/scripts/prepare.py"


rule tokenise:
    input:
        documents="results/data/{corpus}/documents.jsonl",
        model=receipt(MODEL),
    output:
        blocks="results/data/{corpus}/{model}/blocks.safetensors",
        info="results/data/{corpus}/{model}/blocks.json",
        statistics="results/data/{corpus}/{model}/statistics.tsv",
    log:
        "results/logs/tokenise/{corpus}/{model}.log",
    benchmark:
        "results/benchmarks/tokenise/{corpus}/{model}.tsv"
    conda:
        "../envs/tokenise.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        code=code("tokenise"),
        length=config["blocks"]["length"],
        min_length=config["blocks"]["min_length"],
    message:
        "Cutting {wildcards.corpus} into blocks of {params.length} tokens of {wildcards.model}"
    script:
        "../workflow/scripts/tokenise.py"


rule summarise_corpus:
    input:
        documents=f"results/data/{config['corpus']}/statistics.tsv",
        blocks=f"results/data/{config['corpus']}/{config['model']}/statistics.tsv",
    output:
        corpus=table_of("corpus", "The corpus"),
    log:
        "results/logs/summarise_corpus.log",
    benchmark:
        "results/benchmarks/summarise_corpus.tsv"
    conda:
        "../envs/summarise_corpus.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        code=code("summarise_corpus"),
    message:
        "Describing the corpus"
    script:
        "../workflow/scripts/summarise_corpus.py"
