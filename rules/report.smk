rule manifest:
    input:
        receipts=[receipt(source) for source in RETRIEVED.values()],
        tables=TABLES,
    output:
        manifest="results/provenance/manifest.json",
    log:
        "results/logs/manifest.log",
    benchmark:
        "results/benchmarks/manifest.tsv"
    conda:
        "../envs/manifest.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        code=code("manifest"),
        config=config,
    message:
        "Writing down versions, checksums and settings"
    script:
        "../workflow/scripts/manifest.py"


rule report:
    input:
        tables=[*TABLES, *([TIMINGS] if CODE else [])],
        figures=[f"results/figures/{name}.svg" for name in DRAWN],
        captions=[
            source(f"workflow/report/{name}.rst") for name in [*DRAWN, *NAMES, *(["pruning_timings"] if CODE else [])]
        ],
        pages=[path for path in PRUNED_RESULTS if path.endswith(".html")],
        manifest="results/provenance/manifest.json",
        template=source("workflow/report/report.html.j2"),
    output:
        report="results/report.html",
    log:
        "results/logs/report.log",
    benchmark:
        "results/benchmarks/report.tsv"
    conda:
        "../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        code=code("report"),
        facts=FACTS,
        context=CONTEXT,
        window=config["figures"]["window"],
        keep=config["figures"]["keep"],
        sparsity=config["figures"]["heatmap"]["sparsity"],
        latex=[name for name in ["masked_lm", "predictors_at_sparsity", "areas", *LATEX] if name in NAMES],
    message:
        "Writing results/report.html"
    script:
        "../workflow/scripts/report.py"
