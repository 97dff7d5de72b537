if PLAN.from_dump:

    rule import_qk:
        input:
            **{name: PLAN.imported[name].receipt for name in ("dump", "train", "validation") if name in PLAN.imported},
        output:
            train=directory(f"results/qk/{RUN}/train"),
            validation=directory(f"results/qk/{RUN}/validation"),
        log:
            log_of("import_qk", RUN),
        benchmark:
            benchmark_of("import_qk", RUN)
        conda:
            "../envs/import_qk.yaml"
        resources:
            **growing(mem_mb=4000, runtime=120),
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
            **BLOCKS,
            model=f"results/models/{RUN}/model",
        output:
            train=directory(f"results/qk/{RUN}/train"),
            validation=directory(f"results/qk/{RUN}/validation"),
        log:
            log_of("extract_qk", RUN),
        benchmark:
            benchmark_of("extract_qk", RUN)
        conda:
            "../envs/extract_qk.yaml"
        threads: config["threads"]["extract"]
        resources:
            **growing(mem_mb=4000, runtime=120),
            gpu=GPU,
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
        log_of("gold_support", f"{RUN}/{{split}}"),
    benchmark:
        benchmark_of("gold_support", f"{RUN}/{{split}}")
    conda:
        "../envs/gold_support.yaml"
    threads: config["threads"]["evaluate"]
    resources:
        **growing(mem_mb=2000, runtime=120),
    params:
        code=code("gold_support"),
        threads=config["threads"]["evaluate"],
    message:
        "Computing the exact support of the {wildcards.split} split, seed {wildcards.seed}"
    script:
        "../workflow/scripts/gold_support.py"


# where the numbers of layers and heads and the size of a head are read
SHAPE = f"results/qk/{RUN}/train" if PLAN.from_dump else f"results/models/{RUN}/model"
# inputs of jobs that fit on the train split and measure on validation, besides the train split's queries and keys
GOLD_AND_VALIDATION = {
    "gold_train": f"results/gold/{RUN}/train",
    "qk_validation": f"results/qk/{RUN}/validation",
    "gold_validation": f"results/gold/{RUN}/validation",
}
