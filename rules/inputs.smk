# What rules take as their input, and what they call their output.


def code(script, *plugins):
    """The digest that re-runs a rule when the library code below its script changes."""
    return code_digest(script, plugins)


def source(file):
    """A file of the workflow's own, relative so that a folder that was moved stays up to date."""
    return os.path.relpath(ROOT / file)


def receipt(source):
    return source.receipt


def own_files(wildcards):
    """The user's own files of a data set, which is retrieved again where its receipt is that of another source.

    Snakemake notices that too, but only while it remembers its past jobs: a copy of the results alone does not.
    """
    source = RETRIEVED[wildcards.dataset, wildcards.version]
    reason = source.why_stale() or REPLACED.get(source.receipt) if workflow.is_main_process else None
    if reason and source.receipt not in workflow.dag.forcefiles:
        logger.info(f"{source.receipt}: {reason}; what was made of it is made again")
        workflow.dag.forcefiles.add(source.receipt)
    return source.local_files()


def train_split_for(product, imports):
    """An input function: the train split, for a rule that makes `product` anew where it was made the other way.

    One rule fits what another one imports; what is imported has a record beside it.
    """

    def train_split(wildcards):
        path = Path(expand(product, **wildcards)[0])
        if workflow.is_main_process and path.exists() and path.with_name("imported.json").exists() != imports:
            workflow.dag.forcefiles.add(str(path))
        return f"results/qk/{RUN}/train"

    return train_split


def of_runs(pattern, attentions=ATTENTIONS, **wildcards):
    """Every path of a pattern over the configured attentions and seeds."""
    return expand(
        pattern,
        corpus=config["corpus"],
        model=config["model"],
        attention=attentions,
        seed=config["seeds"],
        **wildcards,
    )


def projections_of(wildcards):
    """The fitted projections, or nothing where queries and keys stay as they are."""
    if PROJECTIONS.get(wildcards.projection, {"kind": "none"})["kind"] == "none":
        return []
    return f"results/projections/{RUN}/{{projection}}/projections.safetensors"


def centroids_of(wildcards):
    if "clusters" not in discover()[wildcards.predictor].needs:
        return []
    return f"results/centroids/{RUN}/{{projection}}/{{point}}/centroids.safetensors"


def train_split_of(stage):
    """An input function: the train split of a stage for predictors that fit something themselves."""
    return lambda wildcards: (f"results/{stage}/{RUN}/train" if discover()[wildcards.predictor].fits else [])


def job_of(wildcards):
    """The evaluation job that a table belongs to."""
    key = (wildcards.predictor, wildcards.projection, wildcards.point)
    return next(job for job in JOBS if (job.predictor, job.projection, job.point) == key)


def runs_of(jobs):
    """What the tables say of each file of `of_jobs`."""
    return [
        {
            "predictor": job.predictor,
            **discover()[job.predictor].facts,
            "projection": job.projection,
            **run,
        }
        for job in jobs
        for run in SEEDS
    ]


def of_jobs(stage, jobs):
    """The tables of one stage, in the order of the jobs and runs."""
    patterns = [f"results/{stage}/{RUN}/{job.projection}/{job.predictor}/{job.point}.tsv" for job in jobs]
    return [path for pattern in patterns for path in of_runs(pattern)]


def before_hard(wildcards):
    """The model that a hard stage starts from: where a share of tokens is kept there is no soft stage."""
    soft = grids.has_soft_stage(PRUNINGS[wildcards.pruning])
    return f"{PRUNED}/{{pruning}}/soft/model" if soft else f"{PRUNED}/dense/model"


def stages_of(wildcards):
    """The models of all stages of a pruning."""
    stages = {"dense": f"{PRUNED}/dense/model", "hard": f"{PRUNED}/{{pruning}}/hard/model"}
    soft = {"soft": before_hard(wildcards)} if grids.has_soft_stage(PRUNINGS[wildcards.pruning]) else {}
    return stages | soft


def gpu():
    return int(config["device"].startswith("cuda"))


def folder_of(stage, run):
    """The folder of one stage of one run."""
    place = expand(RUN, corpus=config["corpus"], model=config["model"], **run)[0]
    return f"results/{stage}/{place}"


def table_of(name, category):
    """A table, with its place in Snakemake's own report."""
    caption = f"../workflow/report/{name}.rst"
    return report(
        f"results/tables/{name}.tsv",
        caption=caption,
        category=category,
        labels={"table": name},
    )


def figure_of(name, category):
    """A figure in its three formats, with its place in Snakemake's own report."""
    caption = f"../workflow/report/{name}.rst"
    drawn = report(
        f"results/figures/{name}.svg",
        caption=caption,
        category=category,
        labels={"figure": name},
    )
    return [drawn, f"results/figures/{name}.pdf", f"results/figures/{name}.png"]
