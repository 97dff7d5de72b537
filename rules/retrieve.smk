rule retrieve:
    input:
        local=local_files,
    output:
        receipt="resources/{dataset}/{version}/receipt.json",
    log:
        log_of("retrieve", "{dataset}/{version}"),
    benchmark:
        benchmark_of("retrieve", "{dataset}/{version}")
    conda:
        "../envs/retrieve.yaml"
    resources:
        **growing(mem_mb=1000, runtime=60),
    params:
        code=code("retrieve"),
        dataset=lambda wildcards: wildcards.dataset,
        entry=lambda wildcards: PLAN.retrieved[wildcards.dataset, wildcards.version].retrieved,
        unwatched=lambda wildcards: PLAN.retrieved[wildcards.dataset, wildcards.version].unwatched(),
    message:
        "Retrieving {wildcards.dataset}, version {wildcards.version}"
    script:
        "../workflow/scripts/retrieve.py"
