rule train_mlm:
    input:
        **BLOCKS,
        model=PLAN.model.receipt,
    output:
        model=directory(f"results/models/{RUN}/model"),
        training=f"results/models/{RUN}/training.tsv",
        evaluation=f"results/models/{RUN}/evaluation.tsv",
        sparsity=f"results/models/{RUN}/sparsity.tsv",
        kernel=f"results/models/{RUN}/kernel.json",
    log:
        log_of("train_mlm", RUN),
    benchmark:
        benchmark_of("train_mlm", RUN)
    conda:
        "../envs/train_mlm.yaml"
    threads: config["threads"]["train"]
    resources:
        **TRAINING_RESOURCES,
    params:
        code=code("train_mlm"),
        threads=config["threads"]["train"],
        attention=lambda wildcards: wildcards.attention,
        seed=lambda wildcards: int(wildcards.seed),
        options=config["train_mlm"],
        device=config["device"],
        kernels=config["kernels"],
        # Snakemake deletes the outputs of a killed job, so the checkpoint to resume from is stored beside them
        resume=f"results/models/{RUN}/resume",
    message:
        "Training {wildcards.model} on {wildcards.corpus} with {wildcards.attention}, seed {wildcards.seed}"
    script:
        "../workflow/scripts/train_mlm.py"
