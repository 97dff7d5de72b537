# The published tables; a class in summaries/tables/ declares each. The rule `summarise` makes each table whose class has
# a method `make`; the other rules make several tables from the files that they read once.
LATEX = {name: table for name, table in TABLES.items() if table.latex}
TSV = [table.path for table in TABLES.values() if not table.timed]
TEX = [f"results/tables/{name}.tex" for name in LATEX]


rule summarise:
    input:
        unpack(lambda wildcards: published.inputs_of(TABLES[wildcards.table], RESULTS.files)),
    output:
        table=report(
            "results/tables/{table}.tsv",
            caption="../workflow/report/table.rst",
            category=lambda wildcards: TABLES[wildcards.table].category,
            labels={"table": "{table}"},
        ),
    log:
        log_of("summarise", "{table}"),
    benchmark:
        benchmark_of("summarise", "{table}")
    wildcard_constraints:
        table="|".join(name for name, table in TABLES.items() if table.made_by == "summarise"),
    conda:
        "../envs/summarise.yaml"
    resources:
        **growing(mem_mb=1000, runtime=30),
    params:
        code=lambda wildcards: code("summarise", TABLES[wildcards.table].module),
        runs=lambda wildcards: {kind: RESULTS.files[kind].runs for kind in TABLES[wildcards.table].needs},
        setting=lambda wildcards: published.setting_of(TABLES[wildcards.table], config),
        captions=lambda wildcards: {wildcards.table: TABLES[wildcards.table].caption},
    message:
        "Making the table {wildcards.table}"
    script:
        "../workflow/scripts/summarise.py"


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
        **growing(mem_mb=2000, runtime=30),
    params:
        code=code("check_invariants"),
        facts=PLUGIN_FACTS,
        runs=RESULTS.files["evaluations"].runs,
        sparsities=config["figures"]["sparsities"],
    message:
        "Checking the invariants of all evaluations"
    script:
        "../workflow/scripts/check_invariants.py"


rule summarise_predictors:
    input:
        evaluations=RESULTS.files["evaluations"].paths,
        invariants="results/invariants.json",
    output:
        **tables_made_by("summarise_predictors"),
    log:
        log_of("summarise_predictors"),
    benchmark:
        benchmark_of("summarise_predictors")
    conda:
        "../envs/summarise_predictors.yaml"
    resources:
        **growing(mem_mb=2000, runtime=30),
    params:
        code=code("summarise_predictors"),
        facts=PLUGIN_FACTS,
        runs=RESULTS.files["evaluations"].runs,
        sparsity=config["figures"]["heatmap"]["sparsity"],
        window=config["figures"]["window"],
        keep=config["figures"]["keep"],
        captions=published.captions_of(TABLES, "summarise_predictors"),
    message:
        "Averaging the predictors over layers, heads and seeds"
    script:
        "../workflow/scripts/summarise_predictors.py"


rule summarise_uncertainty:
    input:
        documents=RESULTS.files["documents"].paths,
        invariants="results/invariants.json",
    output:
        **tables_made_by("summarise_uncertainty"),
    log:
        log_of("summarise_uncertainty"),
    benchmark:
        benchmark_of("summarise_uncertainty")
    conda:
        "../envs/summarise_uncertainty.yaml"
    resources:
        **growing(mem_mb=2000, runtime=60),
    params:
        code=code("summarise_uncertainty"),
        facts=PLUGIN_FACTS,
        runs=RESULTS.files["documents"].runs,
        sparsities=config["figures"]["sparsities"],
        replicates=config["summarise_uncertainty"]["replicates"],
        captions=published.captions_of(TABLES, "summarise_uncertainty"),
    message:
        "Comparing the predictors, with intervals over documents and seeds"
    script:
        "../workflow/scripts/summarise_uncertainty.py"


if PLAN.code:

    rule summarise_pruning:
        input:
            predictions=RESULTS.files["predictions"].paths,
            kept=RESULTS.files["kept"].paths,
        output:
            **tables_made_by("summarise_pruning"),
        log:
            log_of("summarise_pruning"),
        benchmark:
            benchmark_of("summarise_pruning")
        conda:
            "../envs/summarise_pruning.yaml"
        resources:
            **growing(mem_mb=2000, runtime=30),
        params:
            code=code("summarise_pruning"),
            runs=RESULTS.files["predictions"].runs,
            replicates=config["evaluate_pruning"]["replicates"],
            captions=published.captions_of(TABLES, "summarise_pruning"),
        message:
            "Summarising the pruned classifiers"
        script:
            "../workflow/scripts/summarise_pruning.py"


NEEDED = {kind for table in MADE.values() for kind in table.needs}
TIMED = {kind: RESULTS.files[kind] if kind in NEEDED else None for kind in ("timings", "attention_timings")}

if any(TIMED.values()):

    rule summarise_timings:
        input:
            **{kind: files.paths if files else [] for kind, files in TIMED.items()},
        output:
            **tables_made_by("summarise_timings"),
        log:
            log_of("summarise_timings"),
        benchmark:
            benchmark_of("summarise_timings")
        conda:
            "../envs/summarise_timings.yaml"
        resources:
            **growing(mem_mb=1000, runtime=10),
        params:
            code=code("summarise_timings"),
            runs={kind: files.runs if files else [] for kind, files in TIMED.items()},
            captions=published.captions_of(TABLES, "summarise_timings"),
        message:
            "Summarising the timings"
        script:
            "../workflow/scripts/summarise_timings.py"


rule write_latex:
    input:
        **{name: table.path for name, table in LATEX.items()},
    output:
        **{name: f"results/tables/{name}.tex" for name in LATEX},
    log:
        log_of("write_latex"),
    benchmark:
        benchmark_of("write_latex")
    conda:
        "../envs/write_latex.yaml"
    resources:
        **growing(mem_mb=1000, runtime=10),
    params:
        code=code("write_latex", *(table.module for table in LATEX.values())),
        settings={name: published.setting_of(table, config) for name, table in LATEX.items()},
    message:
        "Writing tables as LaTeX"
    script:
        "../workflow/scripts/write_latex.py"
