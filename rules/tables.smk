# The tables of a run. What a table needs of the run is one of KINDS of settings/results.py.
NEEDED = {
    "predictors": None,
    "predictors_by_block": "block_evaluations",
    "predictors_by_head": None,
    "predictors_at_sparsity": None,
    "areas": None,
    "best_by_head": None,
    "best_by_layer": None,
    "pareto": None,
    "offsets": None,
    "buckets": "buckets",
    "common_buckets": "buckets",
    "gold_sparsity": None,
    "deviations": "deviations",
    "corpus": "model_training",
    "code": "code",
    "code_intake": "code",
    "text_baselines": "code",
    "code_tokens": "code",
    "pruning": "code",
    "pruning_gains": "code",
    "pruning_layers": "code",
    "thresholds": "code",
    "pruning_training": "code",
    "masked_lm": "model_training",
    "training": "model_training",
    "projections": "curves",
}
NAMES = [name for name, part in NEEDED.items() if part is None or part in RESULTS.files]
TABLES = [f"results/tables/{name}.tsv" for name in NAMES]
TIMINGS = ["results/timings/pruning_timings.tsv"] if "code" in RESULTS.files else []
# the others with LaTeX have a layout of their own
PLAIN = "best_by_head best_by_layer offsets buckets common_buckets gold_sparsity deviations code text_baselines code_tokens pruning_layers thresholds".split()
LATEX = [name for name in PLAIN if name in NAMES]


if "model_training" in RESULTS.files:

    rule summarise_corpus:
        input:
            documents=RESULTS.files["documents_of_text"].paths[0],
            blocks=RESULTS.files["blocks_of_text"].paths[0],
        output:
            corpus=table_of("corpus", "The corpus"),
        log:
            log_of("summarise_corpus"),
        benchmark:
            benchmark_of("summarise_corpus")
        conda:
            "../envs/summarise_corpus.yaml"
        params:
            code=code("summarise_corpus"),
        message:
            "Describing the corpus"
        script:
            "../workflow/scripts/summarise_corpus.py"

    rule summarise_models:
        input:
            evaluation=RESULTS.files["model_evaluation"].paths,
            sparsity=RESULTS.files["model_sparsity"].paths,
            training=RESULTS.files["model_training"].paths,
        output:
            masked_lm=table_of("masked_lm", "The language models"),
            masked_lm_tex="results/tables/masked_lm.tex",
            training=table_of("training", "The language models"),
        log:
            log_of("summarise_models"),
        benchmark:
            benchmark_of("summarise_models")
        conda:
            "../envs/summarise_models.yaml"
        params:
            code=code("summarise_models"),
            runs=PLAN.trained,
        message:
            "Averaging the language models over seeds"
        script:
            "../workflow/scripts/summarise_models.py"


rule summarise_gold:
    input:
        gold=RESULTS.files["gold"].paths,
    output:
        gold_sparsity=table_of("gold_sparsity", "The gold support"),
    log:
        log_of("summarise_gold"),
    benchmark:
        benchmark_of("summarise_gold")
    conda:
        "../envs/summarise_gold.yaml"
    params:
        code=code("summarise_gold"),
        runs=PLAN.runs,
    message:
        "Averaging the gold sparsity over seeds"
    script:
        "../workflow/scripts/summarise_gold.py"


if "curves" in RESULTS.files:

    rule summarise_projections:
        input:
            curves=RESULTS.files["curves"].paths,
        output:
            projections=table_of("projections", "The projections"),
        log:
            log_of("summarise_projections"),
        benchmark:
            benchmark_of("summarise_projections")
        conda:
            "../envs/summarise_projections.yaml"
        params:
            code=code("summarise_projections"),
            runs=RESULTS.files["curves"].runs,
        message:
            "Averaging the fitting curves over seeds"
        script:
            "../workflow/scripts/summarise_projections.py"


rule check_invariants:
    input:
        evaluations=RESULTS.files["evaluations"].paths,
        documents=RESULTS.files["documents"].paths,
    output:
        report="results/invariants.json",
    log:
        log_of("check_invariants"),
    benchmark:
        benchmark_of("check_invariants")
    conda:
        "../envs/check_invariants.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        code=code("check_invariants"),
        facts=FACTS,
        runs=RESULTS.files["evaluations"].runs,
        sparsities=config["figures"]["sparsities"],
    message:
        "Checking what must hold of every evaluation"
    script:
        "../workflow/scripts/check_invariants.py"


rule summarise_predictors:
    input:
        evaluations=RESULTS.files["evaluations"].paths,
        invariants="results/invariants.json",
    output:
        **(
            {"predictors_by_block": table_of("predictors_by_block", "The predictors")}
            if "block_evaluations" in RESULTS.files
            else {}
        ),
        predictors=table_of("predictors", "The predictors"),
        predictors_by_head=table_of("predictors_by_head", "The predictors"),
        pareto=table_of("pareto", "The predictors"),
        best_by_head=table_of("best_by_head", "The predictors"),
        best_by_layer=table_of("best_by_layer", "The predictors"),
    log:
        log_of("summarise_predictors"),
    benchmark:
        benchmark_of("summarise_predictors")
    conda:
        "../envs/summarise_predictors.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        code=code("summarise_predictors"),
        facts=FACTS,
        runs=RESULTS.files["evaluations"].runs,
        sparsity=config["figures"]["heatmap"]["sparsity"],
        window=config["figures"]["window"],
        keep=config["figures"]["keep"],
    message:
        "Averaging the predictors over layers, heads and seeds"
    script:
        "../workflow/scripts/summarise_predictors.py"


rule summarise_uncertainty:
    input:
        documents=RESULTS.files["documents"].paths,
        invariants="results/invariants.json",
    output:
        predictors_at_sparsity=table_of("predictors_at_sparsity", "The predictors"),
        predictors_at_sparsity_tex="results/tables/predictors_at_sparsity.tex",
        areas=table_of("areas", "The predictors"),
        areas_tex="results/tables/areas.tex",
    log:
        log_of("summarise_uncertainty"),
    benchmark:
        benchmark_of("summarise_uncertainty")
    conda:
        "../envs/summarise_uncertainty.yaml"
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        code=code("summarise_uncertainty"),
        facts=FACTS,
        runs=RESULTS.files["documents"].runs,
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
        offsets=RESULTS.files["offsets"].paths,
    output:
        offsets=table_of("offsets", "The predictors"),
    log:
        log_of("summarise_offsets"),
    benchmark:
        benchmark_of("summarise_offsets")
    conda:
        "../envs/summarise_offsets.yaml"
    resources:
        runtime=30,
    params:
        code=code("summarise_offsets"),
        runs=RESULTS.files["offsets"].runs,
        sparsity=config["figures"]["heatmap"]["sparsity"],
    message:
        "Comparing the distances of kept pairs"
    script:
        "../workflow/scripts/summarise_offsets.py"


if "buckets" in RESULTS.files:

    rule summarise_buckets:
        input:
            buckets=RESULTS.files["buckets"].paths,
            common=RESULTS.files["common"].paths,
        output:
            buckets=table_of("buckets", "The buckets"),
            common_buckets=table_of("common_buckets", "The buckets"),
        log:
            log_of("summarise_buckets"),
        benchmark:
            benchmark_of("summarise_buckets")
        conda:
            "../envs/summarise_buckets.yaml"
        resources:
            runtime=30,
        params:
            code=code("summarise_buckets"),
            runs=RESULTS.files["buckets"].runs,
        message:
            "Averaging the buckets over seeds"
        script:
            "../workflow/scripts/summarise_buckets.py"


if "deviations" in RESULTS.files:

    rule summarise_deviations:
        input:
            deviations=RESULTS.files["deviations"].paths,
        output:
            deviations=table_of("deviations", "The published code"),
        log:
            log_of("summarise_deviations"),
        benchmark:
            benchmark_of("summarise_deviations")
        conda:
            "../envs/summarise_deviations.yaml"
        params:
            code=code("summarise_deviations"),
            runs=PLAN.runs,
        message:
            "Averaging the quirks of the published code over seeds"
        script:
            "../workflow/scripts/summarise_deviations.py"


if "code" in RESULTS.files:

    rule summarise_code:
        input:
            code=RESULTS.files["code"].paths[0],
            code_intake=RESULTS.files["code_intake"].paths[0],
            text_baselines=RESULTS.files["text_baselines"].paths[0],
        output:
            code=table_of("code", "The code"),
            code_intake=table_of("code_intake", "The code"),
            text_baselines=table_of("text_baselines", "The code"),
        log:
            log_of("summarise_code"),
        benchmark:
            benchmark_of("summarise_code")
        conda:
            "../envs/summarise_code.yaml"
        params:
            code=code("summarise_code"),
            corpus=config["code"],
        message:
            "Describing the code"
        script:
            "../workflow/scripts/summarise_code.py"

    rule summarise_pruning:
        input:
            predictions=RESULTS.files["predictions"].paths,
            kept=RESULTS.files["kept"].paths,
            thresholds=RESULTS.files["thresholds"].paths,
            training=RESULTS.files["pruning_training"].paths,
            statistics=RESULTS.files["code_tokens"].paths[0],
        output:
            pruning=table_of("pruning", "The pruned classifiers"),
            pruning_gains=table_of("pruning_gains", "The pruned classifiers"),
            pruning_layers=table_of("pruning_layers", "The pruned classifiers"),
            thresholds=table_of("thresholds", "The pruned classifiers"),
            pruning_training=table_of("pruning_training", "The pruned classifiers"),
            code_tokens=table_of("code_tokens", "The code"),
        log:
            log_of("summarise_pruning"),
        benchmark:
            benchmark_of("summarise_pruning")
        conda:
            "../envs/summarise_pruning.yaml"
        resources:
            mem_mb=2000,
            runtime=30,
        params:
            code=code("summarise_pruning"),
            runs=RESULTS.files["predictions"].runs,
            soft_runs=RESULTS.files["thresholds"].runs,
            stages=RESULTS.files["pruning_training"].runs,
            replicates=config["evaluate_pruning"]["replicates"],
        message:
            "Summarising the pruned classifiers"
        script:
            "../workflow/scripts/summarise_pruning.py"

    rule summarise_timings:
        input:
            timings=RESULTS.files["timings"].paths,
        output:
            timings="results/timings/pruning_timings.tsv",
        log:
            log_of("summarise_timings"),
        benchmark:
            benchmark_of("summarise_timings")
        conda:
            "../envs/summarise_timings.yaml"
        params:
            code=code("summarise_timings"),
            runs=RESULTS.files["timings"].runs,
        message:
            "Averaging the timings over seeds"
        script:
            "../workflow/scripts/summarise_timings.py"


rule write_latex:
    input:
        **{name: f"results/tables/{name}.tsv" for name in LATEX},
    output:
        **{name: f"results/tables/{name}.tex" for name in LATEX},
    log:
        log_of("write_latex"),
    benchmark:
        benchmark_of("write_latex")
    conda:
        "../envs/write_latex.yaml"
    params:
        code=code("write_latex"),
        names=LATEX,
    message:
        "Writing tables as LaTeX"
    script:
        "../workflow/scripts/write_latex.py"
