# The language model with predicted supports in place of full attention, in all layers at once.

# what a job reads and is told that makes the predictors of all layers
SPARSE_INPUTS = {
    **BLOCKS,
    "model": f"results/models/{RUN}/model",
    "qk_train": PLAN.qk_train_of,
    "gold_train": PLAN.gold_train_of,
    "projections": PLAN.projections_of,
    "centroids": PLAN.clusters_of,
}
SPARSE_PARAMS = {
    "predictor": lambda wildcards: wildcards.predictor,
    "block_size": lambda wildcards: block_size_of(wildcards.projection),
    "attention": lambda wildcards: wildcards.attention,
    "seed": lambda wildcards: int(wildcards.seed),
}

if PLAN.sparse["evaluate_sparse_mlm"]:

    rule evaluate_full_mlm:
        input:
            **BLOCKS,
            model=f"results/models/{RUN}/model",
        output:
            losses=f"results/sparse_mlm/{RUN}/full/losses.tsv",
        log:
            log_of("evaluate_full_mlm", RUN),
        benchmark:
            benchmark_of("evaluate_full_mlm", RUN)
        conda:
            "../envs/evaluate_full_mlm.yaml"
        threads: config["threads"]["evaluate"]
        resources:
            **growing(mem_mb=3000, runtime=120),
            gpu=GPU,
        params:
            code=code("evaluate_full_mlm"),
            threads=config["threads"]["evaluate"],
            attention=lambda wildcards: wildcards.attention,
            validation=sparse_points.validation_of(config),
            device=config["device"],
            kernels=config["kernels"],
        message:
            "Evaluating {wildcards.model}, {wildcards.attention}, seed {wildcards.seed}, with full attention"
        script:
            "../workflow/scripts/evaluate_full_mlm.py"

    rule evaluate_sparse_mlm:
        input:
            **SPARSE_INPUTS,
        output:
            losses=f"results/sparse_mlm/{POINT}/losses.tsv",
            heads=f"results/sparse_mlm/{POINT}/heads.tsv",
        log:
            log_of("evaluate_sparse_mlm", POINT),
        benchmark:
            benchmark_of("evaluate_sparse_mlm", POINT)
        conda:
            "../envs/evaluate_sparse_mlm.yaml"
        threads: config["threads"]["evaluate"]
        resources:
            **growing(mem_mb=3000, runtime=240),
            gpu=GPU,
        params:
            **SPARSE_PARAMS,
            code=lambda wildcards: code("evaluate_sparse_mlm", discover()[wildcards.predictor].plugin, *METRIC_MODULES),
            threads=config["threads"]["evaluate"],
            fixed=lambda wildcards: PLAN.sparse_job_of("evaluate_sparse_mlm", wildcards).fixed,
            points=lambda wildcards: PLAN.sparse_job_of("evaluate_sparse_mlm", wildcards).points,
            validation=sparse_points.validation_of(config),
            device=config["device"],
        message:
            "Running the language model under {wildcards.predictor}, {wildcards.point}, {wildcards.projection}, seed {wildcards.seed}"
        script:
            "../workflow/scripts/evaluate_sparse_mlm.py"


if PLAN.sparse["finetune_sparse_mlm"]:

    rule finetune_full_mlm:
        input:
            **BLOCKS,
            model=f"results/models/{RUN}/model",
        output:
            training=f"results/sparse_mlm/{RUN}/full/finetuned/training.tsv",
            losses=f"results/sparse_mlm/{RUN}/full/finetuned/losses.tsv",
        log:
            log_of("finetune_full_mlm", RUN),
        benchmark:
            benchmark_of("finetune_full_mlm", RUN)
        conda:
            "../envs/finetune_full_mlm.yaml"
        threads: config["threads"]["train"]
        resources:
            **TRAINING_RESOURCES,
        params:
            code=code("finetune_full_mlm"),
            threads=config["threads"]["train"],
            attention=lambda wildcards: wildcards.attention,
            seed=lambda wildcards: int(wildcards.seed),
            options=sparse_points.options_of_training(config),
            parameters=config["finetune_sparse_mlm"]["parameters"],
            validation=sparse_points.validation_of(config),
            device=config["device"],
            kernels=config["kernels"],
            resume=f"results/sparse_mlm/{RUN}/full/finetuned/resume",
        message:
            "Training {wildcards.model} further with full attention, {wildcards.attention}, seed {wildcards.seed}"
        script:
            "../workflow/scripts/finetune_full_mlm.py"

    rule finetune_sparse_mlm:
        input:
            **SPARSE_INPUTS,
        output:
            model=directory(f"results/sparse_mlm/{FINETUNED}/model"),
            training=f"results/sparse_mlm/{FINETUNED}/training.tsv",
            losses=f"results/sparse_mlm/{FINETUNED}/losses.tsv",
            heads=f"results/sparse_mlm/{FINETUNED}/heads.tsv",
        log:
            log_of("finetune_sparse_mlm", FINETUNED),
        benchmark:
            benchmark_of("finetune_sparse_mlm", FINETUNED)
        conda:
            "../envs/finetune_sparse_mlm.yaml"
        threads: config["threads"]["train"]
        resources:
            **TRAINING_RESOURCES,
        params:
            **SPARSE_PARAMS,
            code=lambda wildcards: code("finetune_sparse_mlm", discover()[wildcards.predictor].plugin, *METRIC_MODULES),
            threads=config["threads"]["train"],
            fixed=lambda wildcards: PLAN.sparse_job_of("finetune_sparse_mlm", wildcards).fixed,
            single=lambda wildcards: PLAN.sparse_job_of("finetune_sparse_mlm", wildcards).singles[wildcards.setting],
            options=sparse_points.options_of_training(config),
            parameters=config["finetune_sparse_mlm"]["parameters"],
            validation=sparse_points.validation_of(config),
            name=PLAN.name_of_model,
            device=config["device"],
            resume=f"results/sparse_mlm/{FINETUNED}/resume",
        message:
            "Training {wildcards.model} further under {wildcards.predictor}, {wildcards.point}, {wildcards.setting}, seed {wildcards.seed}"
        script:
            "../workflow/scripts/finetune_sparse_mlm.py"


if PLAN.sparse["export_sparse_model"]:

    rule export_sparse_model:
        input:
            **SPARSE_INPUTS,
        output:
            model=directory(f"results/sparse_models/{SINGLE}"),
        log:
            log_of("export_sparse_model", SINGLE),
        benchmark:
            benchmark_of("export_sparse_model", SINGLE)
        conda:
            "../envs/export_sparse_model.yaml"
        threads: config["threads"]["evaluate"]
        resources:
            **growing(mem_mb=3000, runtime=60),
        params:
            **SPARSE_PARAMS,
            code=lambda wildcards: code("export_sparse_model", discover()[wildcards.predictor].plugin),
            threads=config["threads"]["evaluate"],
            fixed=lambda wildcards: PLAN.sparse_job_of("export_sparse_model", wildcards).fixed,
            single=lambda wildcards: PLAN.sparse_job_of("export_sparse_model", wildcards).singles[wildcards.setting],
            name=PLAN.name_of_model,
        message:
            "Saving the language model under {wildcards.predictor}, {wildcards.point}, {wildcards.setting}, seed {wildcards.seed}"
        script:
            "../workflow/scripts/export_sparse_model.py"
