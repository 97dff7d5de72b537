# The figures; a class in plotting/figures/ declares each and draws it from published tables.
FIGURES = plots.files_of(PLANNED_FIGURES)


rule plot:
    input:
        unpack(lambda wildcards: {name: FIGURE_TABLES[name] for name in PLANNED_FIGURES[wildcards.figure].needs}),
    output:
        figure=[
            report(
                "results/figures/{figure}.svg",
                caption="../workflow/report/figure.rst",
                category=lambda wildcards: PLANNED_FIGURES[wildcards.figure].category,
                labels={"figure": "{figure}"},
            ),
            "results/figures/{figure}.pdf",
            "results/figures/{figure}.png",
        ],
    log:
        log_of("plot", "{figure}"),
    benchmark:
        benchmark_of("plot", "{figure}")
    wildcard_constraints:
        figure="|".join(PLANNED_FIGURES),
    conda:
        "../envs/plot.yaml"
    resources:
        **growing(mem_mb=1000, runtime=10),
    params:
        code=lambda wildcards: code("plot", PLANNED_FIGURES[wildcards.figure].module),
        facts=PLUGIN_FACTS,
        setting=lambda wildcards: plots.setting_of(PLANNED_FIGURES[wildcards.figure], config),
        caption=lambda wildcards: PLANNED_FIGURES[wildcards.figure].caption,
    message:
        "Drawing {wildcards.figure}"
    script:
        "../workflow/scripts/plot.py"
