# The tables of the predictors; those of other stages are made in the files of the stages.
BLOCKS = any(segments.block_size_of(job.projection) > 1 for job in JOBS)
NAMES = [
    name
    for name, wanted in {
        "predictors": True,
        "predictors_by_block": BLOCKS,
        "predictors_by_head": True,
        "predictors_at_sparsity": True,
        "areas": True,
        "best_by_head": True,
        "best_by_layer": True,
        "pareto": True,
        "offsets": True,
        "buckets": bool(QUANTIZING),
        "common_buckets": bool(QUANTIZING),
        "gold_sparsity": True,
        "deviations": config["deviations"] is not None,
        "corpus": not FROM_DUMP,
        "code": bool(CODE),
        "code_intake": bool(CODE),
        "text_baselines": bool(CODE),
        "code_tokens": bool(CODE),
        "pruning": bool(CODE),
        "pruning_gains": bool(CODE),
        "pruning_layers": bool(CODE),
        "thresholds": bool(CODE),
        "pruning_training": bool(CODE),
        "masked_lm": not FROM_DUMP,
        "training": not FROM_DUMP,
        "projections": bool(FITTED),
    }.items()
    if wanted
]
TABLES = [f"results/tables/{name}.tsv" for name in NAMES]
# the others with LaTeX have a layout of their own
PLAIN = "best_by_head best_by_layer offsets buckets common_buckets gold_sparsity deviations code text_baselines code_tokens pruning_layers thresholds".split()
LATEX = [name for name in PLAIN if name in NAMES]


rule check_invariants:
    input:
        evaluations=of_jobs("predictors", JOBS),
        documents=of_jobs("documents", JOBS),
    output:
        report="results/invariants.json",
    log:
        "results/logs/check_invariants.log",
    benchmark:
        "results/benchmarks/check_invariants.tsv"
    conda:
        "../envs/check_invariants.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        code=code("check_invariants"),
        facts=FACTS,
        runs=runs_of(JOBS),
        sparsities=config["figures"]["sparsities"],
    message:
        "Checking what must hold of every evaluation"
    script:
        "../workflow/scripts/check_invariants.py"


rule summarise_predictors:
    input:
        evaluations=of_jobs("predictors", JOBS),
        invariants="results/invariants.json",
    output:
        **({"predictors_by_block": table_of("predictors_by_block", "The predictors")} if BLOCKS else {}),
        predictors=table_of("predictors", "The predictors"),
        predictors_by_head=table_of("predictors_by_head", "The predictors"),
        pareto=table_of("pareto", "The predictors"),
        best_by_head=table_of("best_by_head", "The predictors"),
        best_by_layer=table_of("best_by_layer", "The predictors"),
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
        facts=FACTS,
        runs=runs_of(JOBS),
        sparsity=config["figures"]["heatmap"]["sparsity"],
        window=config["figures"]["window"],
        keep=config["figures"]["keep"],
    message:
        "Averaging the predictors over layers, heads and seeds"
    script:
        "../workflow/scripts/summarise_predictors.py"


rule summarise_uncertainty:
    input:
        documents=of_jobs("documents", JOBS),
        invariants="results/invariants.json",
    output:
        predictors_at_sparsity=table_of("predictors_at_sparsity", "The predictors"),
        predictors_at_sparsity_tex="results/tables/predictors_at_sparsity.tex",
        areas=table_of("areas", "The predictors"),
        areas_tex="results/tables/areas.tex",
    log:
        "results/logs/summarise_uncertainty.log",
    benchmark:
        "results/benchmarks/summarise_uncertainty.tsv"
    conda:
        "../envs/summarise_uncertainty.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        code=code("summarise_uncertainty"),
        facts=FACTS,
        runs=runs_of(JOBS),
        sparsities=config["figures"]["sparsities"],
        replicates=config["summarise_uncertainty"]["replicates"],
        window=config["figures"]["window"],
        keep=config["figures"]["keep"],
    message:
        "Comparing the predictors, with intervals over documents and seeds"
    script:
        "../workflow/scripts/summarise_uncertainty.py"


rule summarise_offsets:
    input:
        predictors="results/tables/predictors.tsv",
        offsets=of_jobs("offsets", JOBS),
    output:
        offsets=table_of("offsets", "The predictors"),
    log:
        "results/logs/summarise_offsets.log",
    benchmark:
        "results/benchmarks/summarise_offsets.tsv"
    conda:
        "../envs/summarise_offsets.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=30,
    params:
        code=code("summarise_offsets"),
        runs=runs_of(JOBS),
        sparsity=config["figures"]["heatmap"]["sparsity"],
    message:
        "Comparing the distances of kept pairs"
    script:
        "../workflow/scripts/summarise_offsets.py"


rule write_latex:
    input:
        **{name: f"results/tables/{name}.tsv" for name in LATEX},
    output:
        **{name: f"results/tables/{name}.tex" for name in LATEX},
    log:
        "results/logs/write_latex.log",
    benchmark:
        "results/benchmarks/write_latex.tsv"
    conda:
        "../envs/write_latex.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        code=code("write_latex"),
        names=LATEX,
    message:
        "Writing tables as LaTeX"
    script:
        "../workflow/scripts/write_latex.py"
