if FROM_DUMP:

    rule import_qk:
        input:
            **{name: receipt(IMPORTED[name]) for name in ("dump", "train", "validation") if name in IMPORTED},
        output:
            train=directory(f"results/qk/{RUN}/train"),
            validation=directory(f"results/qk/{RUN}/validation"),
        log:
            f"results/logs/import_qk/{RUN}.log",
        benchmark:
            f"results/benchmarks/import_qk/{RUN}.tsv"
        conda:
            "../envs/import_qk.yaml"
        threads: 1
        resources:
            mem_mb=4000,
            runtime=120,
        params:
            code=code("import_qk"),
            attention=lambda wildcards: wildcards.attention,
            options=config["extract_qk"],
        message:
            "Reading the query/key dump of {wildcards.corpus}"
        script:
            "../workflow/scripts/import_qk.py"

else:

    rule extract_qk:
        input:
            model=f"results/models/{RUN}/model",
            blocks="results/data/{corpus}/{model}/blocks.safetensors",
            info="results/data/{corpus}/{model}/blocks.json",
        output:
            train=directory(f"results/qk/{RUN}/train"),
            validation=directory(f"results/qk/{RUN}/validation"),
        log:
            f"results/logs/extract_qk/{RUN}.log",
        benchmark:
            f"results/benchmarks/extract_qk/{RUN}.tsv"
        conda:
            "../envs/extract_qk.yaml"
        threads: config["threads"]["extract"]
        resources:
            mem_mb=4000,
            runtime=120,
            gpu=gpu(),
        params:
            code=code("extract_qk"),
            threads=config["threads"]["extract"],
            attention=lambda wildcards: wildcards.attention,
            options=config["extract_qk"],
            device=config["device"],
        message:
            "Extracting queries and keys of {wildcards.model}, {wildcards.attention}, seed {wildcards.seed}"
        script:
            "../workflow/scripts/extract_qk.py"


rule gold_support:
    input:
        qk=f"results/qk/{RUN}/{{split}}",
    output:
        gold=directory(f"results/gold/{RUN}/{{split}}"),
        sparsity=f"results/gold/{RUN}/{{split}}.tsv",
    log:
        f"results/logs/gold_support/{RUN}/{{split}}.log",
    benchmark:
        f"results/benchmarks/gold_support/{RUN}/{{split}}.tsv"
    conda:
        "../envs/gold_support.yaml"
    threads: config["threads"]["evaluate"]
    resources:
        mem_mb=2000,
        runtime=120,
    params:
        code=code("gold_support"),
        threads=config["threads"]["evaluate"],
    message:
        "Computing the exact support of the {wildcards.split} split, seed {wildcards.seed}"
    script:
        "../workflow/scripts/gold_support.py"


rule summarise_gold:
    input:
        gold=[f"{folder_of('gold', run)}/validation.tsv" for run in SEEDS],
    output:
        gold_sparsity=table_of("gold_sparsity", "The gold support"),
    log:
        "results/logs/summarise_gold.log",
    benchmark:
        "results/benchmarks/summarise_gold.tsv"
    conda:
        "../envs/summarise_gold.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        code=code("summarise_gold"),
        runs=SEEDS,
    message:
        "Averaging the gold sparsity over seeds"
    script:
        "../workflow/scripts/summarise_gold.py"
