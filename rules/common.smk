import os
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.utils import update_config

ROOT = Path(workflow.current_basedir).parent
sys.path.insert(0, str(ROOT / "workflow/scripts"))

from sparse_attention import config as settings
from sparse_attention import caches, grids, provenance, running
from sparse_attention import config_command_line as command_line
from sparse_attention.config_origins import read_origins
from sparse_attention.data import selected
from sparse_attention.data.entries import load_registry
from sparse_attention.errors import InputError, printable
from sparse_attention.predictors.registry import discover

# threads that wait for each other must not spin: beside other work on the same cores that is many times slower
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
caches.provide()

for folder in (ROOT, Path.cwd()):
    if os.fsencode(folder).decode(errors="replace") != str(folder):
        sys.exit(printable(f"{folder}: Snakemake cannot write down a name that is not UTF-8; rename the folder"))
    if "{" in str(folder) or "}" in str(folder):
        raise WorkflowError(f"{folder}: Snakemake takes braces in a folder's name for wildcards; rename the folder")

# the defaults first, then the overlays in the order of the command line
CONFIGFILES = sorted(map(str, workflow.configfiles), key=lambda file: file != "config/config.yaml")

try:
    if workflow.is_main_process:
        command_line.refuse_repeated(sys.argv[1:])
    ORIGINS = read_origins(CONFIGFILES, workflow.config_settings.replace_workflow_config)
    # Snakemake hands lists and null of --config over as text; what is meant is laid over it
    MEANT = settings.command_line_settings(workflow.config_settings.config_args or [], config)
    ORIGINS.overlays.append((command_line.COMMAND_LINE, MEANT))
    update_config(config, MEANT)
    DATASETS = load_registry(ROOT / "config/datasets.yaml", config.get("datasets") or {}, ORIGINS)
    settings.validate(config, ORIGINS, DATASETS, Path.cwd())
except InputError as error:
    raise WorkflowError(str(error)) from None

RUN = "{corpus}/{model}/{attention}/seed~{seed}"
FROM_DUMP = config["extract_qk"]["source"] is not None
# a dump brings its own text and model: their names are labels then
TEXT, MODEL = (None if FROM_DUMP else settings.selected_dataset(config, DATASETS, kind) for kind in ("corpus", "model"))
CODE = settings.selected_dataset(config, DATASETS, "code") if config["code"] else None
CLASSIFIER = settings.selected_dataset(config, DATASETS, "classifier") if CODE else None
IMPORTED = settings.imported(config)
RETRIEVED = {
    (source.name, source.version): source for source in (TEXT, MODEL, CODE, CLASSIFIER, *IMPORTED.values()) if source
}
# of everything below one folder of results
SELECTED = {
    f"{key} {name}": source.receipt
    for key, name, source in (
        ("corpus", config["corpus"], TEXT or IMPORTED.get("dump") or IMPORTED.get("train")),
        ("model", f"{config['corpus']}/{config['model']}", MODEL),
        ("code", config["code"], CODE),
        ("classifier", f"{config['code']}/{config['classifier']}", CLASSIFIER),
    )
    if source
}
REPLACED = {new: f"the last results are of {old}" for new, old in selected.replaced(SELECTED).items()}
PROJECTIONS = grids.projections(config)
JOBS = grids.predictor_jobs(config)
CLUSTERINGS = grids.clusterings(config)
PRUNINGS = grids.prunings(config)
LAMBDA_SWEEPS = grids.lambda_sweeps(PRUNINGS)
TIMINGS = "results/timings/pruning_timings.tsv"
PRUNED = "results/pruning/{code}/{classifier}/seed~{seed}"
PRUNED_RESULTS = []  # what prune.smk adds to the tables and figures
ATTENTIONS = grids.entmax_attentions(config)
CONTEXT = {"corpus": config["corpus"], "model": config["model"]}
SEEDS = [{"attention": attention, "seed": seed} for attention in ATTENTIONS for seed in config["seeds"]]


wildcard_constraints:
    corpus="[^/]+",
    code="[^/]+",
    classifier="[^/]+",
    pruning="mode~[^/]+",
    stage="dense|soft|hard",
    model="[^/]+",
    dataset="[^/]+",
    version="[^/]+",
    attention="softmax|entmax~[0-9.]+",
    seed="[0-9]+",
    split="train|validation",
    projection="kind~[^/]+",
    clustering="clusters~[^/]+",
    predictor="[^/]+",
    point="[^/]+",


def code(script, *plugins):
    """The digest that re-runs a rule when the library code below its script changes."""
    return provenance.code_digest(script, plugins)


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
            "label": discover()[job.predictor].label,
            "family": discover()[job.predictor].module,
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
