# What the tables say of each file they are made from, in the order of the files.
SEEDS = [{"attention": attention, "seed": seed} for attention in ATTENTIONS for seed in config["seeds"]]
TRAINED = [] if FROM_DUMP else [{"attention": a, "seed": s} for a in config["attentions"] for s in config["seeds"]]
EVALUATED = [
    {
        "predictor": job.predictor,
        "label": discover()[job.predictor].label,
        "family": discover()[job.predictor].module,
        "projection": job.projection,
        "attention": run["attention"],
        "seed": run["seed"],
    }
    for job in JOBS
    for run in SEEDS
]
EVALUATIONS = [
    path
    for job in JOBS
    for path in of_runs(
        f"results/predictors/{RUN}/{job.projection}/{job.predictor}/{job.point}.tsv",
    )
]
FITTED = (
    []
    if config["fit_projections"]["source"]
    else [
        {"projection": name, **run}
        for name, setting in PROJECTIONS.items()
        if setting["kind"] != "none"
        for run in SEEDS
    ]
)
NAMES = [
    name
    for name, wanted in {
        "predictors": True,
        "predictors_by_head": True,
        "predictors_at_sparsity": True,
        "pareto": True,
        "gold_sparsity": True,
        "corpus": not FROM_DUMP,
        "masked_lm": not FROM_DUMP,
        "training": not FROM_DUMP,
        "projections": bool(FITTED),
    }.items()
    if wanted
]
TABLES = [f"results/tables/{name}.tsv" for name in NAMES]


if not FROM_DUMP:

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


rule summarise_predictors:
    input:
        evaluations=EVALUATIONS,
    output:
        predictors=table_of("predictors", "The predictors"),
        predictors_by_head=table_of("predictors_by_head", "The predictors"),
        predictors_at_sparsity=table_of("predictors_at_sparsity", "The predictors"),
        predictors_at_sparsity_tex="results/tables/predictors_at_sparsity.tex",
        pareto=table_of("pareto", "The predictors"),
    log:
        "results/logs/summarise_predictors.log",
    benchmark:
        "results/benchmarks/summarise_predictors.tsv"
    conda:
        "../envs/summarise_predictors.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        code=code("summarise_predictors"),
        runs=EVALUATED,
        sparsities=config["figures"]["sparsities"],
        window=config["figures"]["window"],
        keep=config["figures"]["keep"],
    message:
        "Averaging the predictors over layers, heads and seeds"
    script:
        "../workflow/scripts/summarise_predictors.py"


if FITTED:

    rule summarise_projections:
        input:
            curves=[f"{folder_of('projections', run)}/{run['projection']}/curves.tsv" for run in FITTED],
        output:
            projections=table_of("projections", "The projections"),
        log:
            "results/logs/summarise_projections.log",
        benchmark:
            "results/benchmarks/summarise_projections.tsv"
        conda:
            "../envs/summarise_projections.yaml"
        threads: 1
        resources:
            mem_mb=1000,
            runtime=10,
        params:
            code=code("summarise_projections"),
            runs=FITTED,
        message:
            "Averaging the fitting curves over seeds"
        script:
            "../workflow/scripts/summarise_projections.py"
