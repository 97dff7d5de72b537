# The figures: each is declared by a class in plotting/figures/ and drawn from published tables.
FIGURES = [f"results/figures/{name}.{suffix}" for name in DRAWN for suffix in ("svg", "pdf", "png")]


rule plot:
    input:
        unpack(lambda wildcards: {name: DRAWN_FROM[name] for name in DRAWN[wildcards.figure].needs}),
    output:
        figure=[
            report(
                "results/figures/{figure}.svg",
                caption="../workflow/report/figure.rst",
                category=lambda wildcards: DRAWN[wildcards.figure].category,
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
        figure="|".join(DRAWN),
    conda:
        "../envs/plot.yaml"
    params:
        code=lambda wildcards: code("plot", DRAWN[wildcards.figure].module),
        facts=FACTS,
        setting=lambda wildcards: plots.setting_of(DRAWN[wildcards.figure], config),
        caption=lambda wildcards: DRAWN[wildcards.figure].caption,
    message:
        "Drawing {wildcards.figure}"
    script:
        "../workflow/scripts/plot.py"
