# Real time: attention over predicted blocks against dense attention, by length.
rule time_attention:
    input:
        qk=f"results/qk/{RUN}/validation",
    output:
        timings=f"results/timings/{RUN}.tsv",
    log:
        log_of("time_attention", RUN),
    benchmark:
        benchmark_of("time_attention", RUN)
    conda:
        "../envs/time_attention.yaml"
    threads: config["time_attention"]["threads"]
    resources:
        **growing(mem_mb=3000, runtime=120),
    params:
        code=code("time_attention", *(discover()[name].plugin for name in config["time_attention"]["predictors"])),
        options=config["time_attention"],
        kernels=config["kernels"],
    message:
        "Timing attention on {wildcards.model}, {wildcards.attention}, seed {wildcards.seed}"
    script:
        "../workflow/scripts/time_attention.py"
