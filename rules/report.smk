rule summarise_runtime:
    input:
        # what was measured is read when everything that the report shows has been made
        tables=[table.path for table in TABLES.values() if table.made_by != "summarise_runtime"],
        figures=[f"results/figures/{name}.svg" for name in PLANNED_FIGURES],
        pages=RESULTS.pages,
    output:
        **tables_made_by("summarise_runtime"),
    log:
        log_of("summarise_runtime"),
    benchmark:
        benchmark_of("summarise_runtime")
    conda:
        "../envs/summarise_runtime.yaml"
    resources:
        **growing(mem_mb=1000, runtime=10),
    params:
        code=code("summarise_runtime"),
        captions=published.captions_of(TABLES, "summarise_runtime"),
    message:
        "Summing up the time and memory of all jobs"
    script:
        "../workflow/scripts/summarise_runtime.py"


rule manifest:
    input:
        receipts=PLAN.documented,
        bundle=PLAN.bundle.receipt if PLAN.bundle else [],
        kernels=[] if PLAN.adds_code else RESULTS.kernels,
        tables=TSV,
    output:
        manifest="results/provenance/manifest.json",
    log:
        log_of("manifest"),
    benchmark:
        benchmark_of("manifest")
    conda:
        "../envs/manifest.yaml"
    resources:
        **growing(mem_mb=1000, runtime=10),
    params:
        code=code("manifest"),
        config=config,
    message:
        "Recording versions, checksums and settings"
    script:
        "../workflow/scripts/manifest.py"


rule report:
    input:
        tables=[table.path for table in TABLES.values()],
        figures=[f"results/figures/{name}.svg" for name in PLANNED_FIGURES],
        pages=RESULTS.pages,
        manifest="results/provenance/manifest.json",
        template=source("workflow/report/report.html.j2"),
        included=[source(f"workflow/report/{name}") for name in ("report.css", "report.js", "explore.js")],
    output:
        report="results/report.html",
    log:
        log_of("report"),
    benchmark:
        benchmark_of("report")
    conda:
        "../envs/report.yaml"
    resources:
        **growing(mem_mb=1000, runtime=10),
    params:
        code=code(
            "report",
            *(table.module for table in TABLES.values()),
            *(figure.module for figure in PLANNED_FIGURES.values()),
        ),
        facts=PLUGIN_FACTS,
        context=PLAN.context,
        window=config["figures"]["window"],
        keep=config["figures"]["keep"],
        sparsity=config["figures"]["heatmap"]["sparsity"],
    message:
        "Writing results/report.html"
    script:
        "../workflow/scripts/report.py"
