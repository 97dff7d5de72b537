rule retrieve:
    input:
        local=own_files,
    output:
        receipt="resources/{dataset}/{version}/receipt.json",
    log:
        "results/logs/retrieve/{dataset}/{version}.log",
    benchmark:
        "results/benchmarks/retrieve/{dataset}/{version}.tsv"
    conda:
        "../envs/retrieve.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=60,
    params:
        code=code("retrieve"),
        dataset=lambda wildcards: wildcards.dataset,
        entry=lambda wildcards: RETRIEVED[wildcards.dataset, wildcards.version].entry,
        unwatched=lambda wildcards: RETRIEVED[wildcards.dataset, wildcards.version].unwatched(),
    message:
        "Retrieving {wildcards.dataset}, version {wildcards.version}"
    script:
        "../workflow/scripts/retrieve.py"
