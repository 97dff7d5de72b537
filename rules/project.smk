# What the tables say of each file they are made from, in the order of the files.
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
PROJECTED = f"results/projections/{RUN}/{{projection}}/projections.safetensors"


if config["fit_projections"]["source"]:

    rule import_projections:
        input:
            source=receipt(IMPORTED["projections"]),
            qk_train=train_split_for(PROJECTED, imports=True),
        output:
            projections=f"results/projections/{RUN}/{{projection}}/projections.safetensors",
            info=f"results/projections/{RUN}/{{projection}}/projections.json",
            original=f"results/projections/{RUN}/{{projection}}/projections.pt",
            imported=f"results/projections/{RUN}/{{projection}}/imported.json",
        log:
            f"results/logs/import_projections/{RUN}/{{projection}}.log",
        benchmark:
            f"results/benchmarks/import_projections/{RUN}/{{projection}}.tsv"
        conda:
            "../envs/import_projections.yaml"
        threads: 1
        resources:
            mem_mb=2000,
            runtime=10,
        params:
            code=code("import_projections"),
            setting=lambda wildcards: PROJECTIONS[wildcards.projection],
        message:
            "Reading projections {wildcards.projection}, seed {wildcards.seed}"
        script:
            "../workflow/scripts/import_projections.py"

else:

    rule fit_projections:
        input:
            qk_train=train_split_for(PROJECTED, imports=False),
            gold_train=f"results/gold/{RUN}/train",
            qk_validation=f"results/qk/{RUN}/validation",
            gold_validation=f"results/gold/{RUN}/validation",
        output:
            projections=f"results/projections/{RUN}/{{projection}}/projections.safetensors",
            info=f"results/projections/{RUN}/{{projection}}/projections.json",
            original=f"results/projections/{RUN}/{{projection}}/projections.pt",
            curves=f"results/projections/{RUN}/{{projection}}/curves.tsv",
        log:
            f"results/logs/fit_projections/{RUN}/{{projection}}.log",
        benchmark:
            f"results/benchmarks/fit_projections/{RUN}/{{projection}}.tsv"
        conda:
            "../envs/fit_projections.yaml"
        threads: config["threads"]["fit"]
        resources:
            mem_mb=3000,
            runtime=240,
            gpu=gpu(),
        params:
            code=code("fit_projections"),
            threads=config["threads"]["fit"],
            setting=lambda wildcards: PROJECTIONS[wildcards.projection],
            options=config["fit_projections"],
            seed=lambda wildcards: int(wildcards.seed),
            device=config["device"],
        message:
            "Fitting projections {wildcards.projection}, seed {wildcards.seed}"
        script:
            "../workflow/scripts/fit_projections.py"


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

    rule plot_projections:
        input:
            projections="results/tables/projections.tsv",
        output:
            figure=figure_of("projection_curves", "The projections"),
        log:
            "results/logs/plot_projections.log",
        benchmark:
            "results/benchmarks/plot_projections.tsv"
        conda:
            "../envs/plot_projections.yaml"
        threads: 1
        resources:
            mem_mb=1000,
            runtime=10,
        params:
            code=code("plot_projections"),
            context=CONTEXT,
        message:
            "Drawing the fitting curves of the projections"
        script:
            "../workflow/scripts/plot_projections.py"
