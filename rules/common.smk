# What all rules share. PLAN says what the run is made of, RESULTS which files its jobs write, TABLES and DRAWN what is
# published.
import os
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.utils import update_config

ROOT = Path(workflow.current_basedir).parent
sys.path.insert(0, str(ROOT / "workflow/scripts"))

from sparse_attention.data import selected
from sparse_attention.errors import InputError, printable
from sparse_attention.files.segments import block_size_of
from sparse_attention.jobs import caches, lock
from sparse_attention.jobs.code_digest import code_digest
from sparse_attention.metrics.facts import metric_plugins, support_metrics
from sparse_attention.predictors.registry import discover
from sparse_attention.settings import command_line, config as settings, grids
from sparse_attention.settings.datasets import load_registry
from sparse_attention.settings.folders import why_unusable
from sparse_attention.settings.origins import read_origins
from sparse_attention.settings.paths import CLASSIFIER, CLASSIFIER_RUN, CLUSTERING, POINT, PROJECTION, PRUNED
from sparse_attention.settings.paths import PRUNING, RUN, WILDCARDS, benchmark_of, log_of
from sparse_attention.settings.plan import Plan
from sparse_attention.settings.results import Results
from sparse_attention.plotting import planned as plots
from sparse_attention.summaries import planned as published

# threads that wait for each other must not spin: beside other work on the same cores that is many times slower
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
caches.provide()

for folder in (ROOT, Path.cwd()):
    if reason := why_unusable(folder):
        sys.exit(printable(reason))

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
    PLAN = Plan(config, DATASETS)
    RESULTS = Results(PLAN)
    TABLES = published.planned(RESULTS.files, config)
    DRAWN_FROM = plots.drawn_from(TABLES, RESULTS.pruned)
    DRAWN = plots.planned(DRAWN_FROM, config)
except InputError as error:
    raise WorkflowError(str(error)) from None

REPLACED = {new: f"the last results are of {old}" for new, old in selected.replaced(PLAN.selected).items()}
METRICS = [plugin.module for plugin in metric_plugins()]
# what scripts read in the files of metrics and predictors
FACTS = {
    "metrics": [vars(metric) for metric in support_metrics().values()],
    "predictors": {job.predictor: discover()[job.predictor].facts for job in PLAN.jobs},
}
GPU = int(config["device"].startswith("cuda"))
# where they differ from those of profiles/default/config.yaml
TRAINING = {"mem_mb": 6000, "runtime": 720, "gpu": GPU}
CLASSIFYING = {"mem_mb": 4000, "runtime": 240, "gpu": GPU}


def code(script, *plugins):
    """The digest that re-runs a rule when the library code below its script changes."""
    return code_digest(script, plugins)


def source(file):
    """A file of the workflow's own, relative so that a folder that was moved stays up to date."""
    return os.path.relpath(ROOT / file)


def own_files(wildcards):
    """The user's own files of a data set, which is retrieved again where its receipt is that of another source.

    Snakemake notices that too, but only while it remembers its past jobs: a copy of the results alone does not.
    """
    source = PLAN.retrieved[wildcards.dataset, wildcards.version]
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
        path = Path(product.format(**wildcards))
        if workflow.is_main_process and path.exists() and path.with_name("imported.json").exists() != imports:
            workflow.dag.forcefiles.add(str(path))
        return f"results/qk/{RUN}/train"

    return train_split


def made_by(rule):
    """The tables that a rule makes, by name, with their places in Snakemake's own report."""
    return {
        name: report(
            table.path, caption="../workflow/report/table.rst", category=table.category, labels={"table": name}
        )
        for name, table in TABLES.items()
        if table.made_by == rule
    }


wildcard_constraints:
    **WILDCARDS,
