# What the tables say of each file they are made from, in the order of the files.
TRAINED = [{"attention": attention, "seed": seed} for attention in config["attentions"] for seed in config["seeds"]]


rule train_mlm:
    input:
        blocks="results/data/{corpus}/{model}/blocks.safetensors",
        info="results/data/{corpus}/{model}/blocks.json",
        model=receipt(MODEL),
    output:
        model=directory(f"results/models/{RUN}/model"),
        training=f"results/models/{RUN}/training.tsv",
        evaluation=f"results/models/{RUN}/evaluation.tsv",
        sparsity=f"results/models/{RUN}/sparsity.tsv",
    log:
        f"results/logs/train_mlm/{RUN}.log",
    benchmark:
        f"results/benchmarks/train_mlm/{RUN}.tsv"
    conda:
        "../envs/train_mlm.yaml"
    threads: config["threads"]["train"]
    resources:
        mem_mb=6000,
        runtime=720,
        gpu=gpu(),
    params:
        code=code("train_mlm"),
        threads=config["threads"]["train"],
        attention=lambda wildcards: wildcards.attention,
        seed=lambda wildcards: int(wildcards.seed),
        options=config["train_mlm"],
        head=config["train_mlm"]["head"],
        device=config["device"],
        # Snakemake deletes the outputs of a killed job, so what a resumed one needs lies beside them
        resume=f"results/models/{RUN}/resume",
    message:
        "Training {wildcards.model} on {wildcards.corpus} with {wildcards.attention}, seed {wildcards.seed}"
    script:
        "../workflow/scripts/train_mlm.py"


rule summarise_models:
    input:
        evaluation=[f"{folder_of('models', run)}/evaluation.tsv" for run in TRAINED],
        sparsity=[f"{folder_of('models', run)}/sparsity.tsv" for run in TRAINED],
        training=[f"{folder_of('models', run)}/training.tsv" for run in TRAINED],
    output:
        masked_lm=table_of("masked_lm", "The language models"),
        masked_lm_tex="results/tables/masked_lm.tex",
        training=table_of("training", "The language models"),
    log:
        "results/logs/summarise_models.log",
    benchmark:
        "results/benchmarks/summarise_models.tsv"
    conda:
        "../envs/summarise_models.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        code=code("summarise_models"),
        runs=TRAINED,
    message:
        "Averaging the language models over seeds"
    script:
        "../workflow/scripts/summarise_models.py"


rule plot_training:
    input:
        training="results/tables/training.tsv",
        masked_lm="results/tables/masked_lm.tsv",
    output:
        figure=figure_of("training_curves", "The language models"),
    log:
        "results/logs/plot_training.log",
    benchmark:
        "results/benchmarks/plot_training.tsv"
    conda:
        "../envs/plot_training.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        code=code("plot_training"),
        context=CONTEXT,
    message:
        "Drawing the training curves"
    script:
        "../workflow/scripts/plot_training.py"
