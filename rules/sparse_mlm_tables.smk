# The published tables of the language model under predicted attention.
SPARSE_MLM = {
    kind: RESULTS.files.get(kind)
    for kind in (
        "full_mlm_losses",
        "sparse_mlm_losses",
        "sparse_mlm_heads",
        "finetuned_full_mlm_losses",
        "finetuned_mlm_losses",
        "finetuned_mlm_heads",
    )
}


rule summarise_sparse_mlm:
    input:
        **{kind: files.paths if files else [] for kind, files in SPARSE_MLM.items()},
    output:
        **tables_made_by("summarise_sparse_mlm"),
    log:
        log_of("summarise_sparse_mlm"),
    benchmark:
        benchmark_of("summarise_sparse_mlm")
    conda:
        "../envs/summarise_sparse_mlm.yaml"
    resources:
        **growing(mem_mb=2000, runtime=30),
    params:
        code=code("summarise_sparse_mlm"),
        facts=PLUGIN_FACTS,
        runs={kind: files.runs if files else [] for kind, files in SPARSE_MLM.items()},
        replicates=config["summarise_uncertainty"]["replicates"],
        captions=published.captions_of(TABLES, "summarise_sparse_mlm"),
    message:
        "Summarising the language model under predicted attention"
    script:
        "../workflow/scripts/summarise_sparse_mlm.py"
