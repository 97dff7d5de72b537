PROJECTIONS = {
    "projections": f"results/projections/{PROJECTION}/projections.safetensors",
    "info": f"results/projections/{PROJECTION}/projections.json",
    "original": f"results/projections/{PROJECTION}/projections.pt",
}

if config["fit_projections"]["source"]:

    rule import_projections:
        input:
            source=PLAN.imported["projections"].receipt,
            shape=made_from(SHAPE, PROJECTIONS["projections"], imports=True),
        output:
            **PROJECTIONS,
            imported=f"results/projections/{PROJECTION}/imported.json",
        log:
            log_of("import_projections", PROJECTION),
        benchmark:
            benchmark_of("import_projections", PROJECTION)
        conda:
            "../envs/import_projections.yaml"
        resources:
            **growing(mem_mb=2000, runtime=10),
        params:
            code=code("import_projections"),
            setting=lambda wildcards: PLAN.projections[wildcards.projection],
        message:
            "Reading projections {wildcards.projection}, seed {wildcards.seed}"
        script:
            "../workflow/scripts/import_projections.py"

else:

    rule fit_projections:
        input:
            **GOLD_AND_VALIDATION,
            qk_train=made_from(f"results/qk/{RUN}/train", PROJECTIONS["projections"], imports=False),
        output:
            **PROJECTIONS,
            curves=f"results/projections/{PROJECTION}/curves.tsv",
        log:
            log_of("fit_projections", PROJECTION),
        benchmark:
            benchmark_of("fit_projections", PROJECTION)
        conda:
            "../envs/fit_projections.yaml"
        threads: config["threads"]["fit"]
        resources:
            **growing(mem_mb=3000, runtime=240),
            gpu=GPU,
        params:
            code=code("fit_projections"),
            threads=config["threads"]["fit"],
            setting=lambda wildcards: PLAN.projections[wildcards.projection],
            options=config["fit_projections"],
            seed=lambda wildcards: int(wildcards.seed),
            device=config["device"],
        message:
            "Fitting projections {wildcards.projection}, seed {wildcards.seed}"
        script:
            "../workflow/scripts/fit_projections.py"
