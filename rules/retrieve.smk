rule retrieve:
    input:
        local=lambda wildcards: RETRIEVED[wildcards.dataset, wildcards.version].local_files(),
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
    message:
        "Retrieving {wildcards.dataset}, version {wildcards.version}"
    script:
        "../workflow/scripts/retrieve.py"
