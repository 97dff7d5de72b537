# Shared by all rules. PLAN holds the parts of the run, RESULTS the files that its jobs write, TABLES and PLANNED_FIGURES
# the published tables and figures.
import functools
import os
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.utils import update_config

ROOT = Path(workflow.current_basedir).parent
sys.path.insert(0, str(ROOT / "workflow/scripts"))

from sparse_attention.archiving import stages
from sparse_attention.data import selected
from sparse_attention.errors import InputError, printable
from sparse_attention.files.segments import block_size_of
from sparse_attention.jobs import caches, guard, lock, scheduler
from sparse_attention.jobs.code_digest import code_digest
from sparse_attention.metrics.facts import metric_plugins, support_metrics
from sparse_attention.predictors.registry import discover
from sparse_attention.settings import command_line, config as settings, grids, needs, sparse_points, starting, time_left
from sparse_attention.settings.datasets import load_registry
from sparse_attention.settings.deployment import why_no_conda
from sparse_attention.settings.folders import why_read_only, why_unusable
from sparse_attention.settings.origins import key_of, read_origins
from sparse_attention.settings.paths import CLASSIFIER, CLASSIFIER_RUN, CLUSTERING, FINETUNED, POINT, PROJECTION
from sparse_attention.settings.paths import PRUNED, PRUNING, RUN, SINGLE, WILDCARDS, benchmark_of, log_of
from sparse_attention.settings.plan import Plan
from sparse_attention.settings.results import Results
from sparse_attention.plotting import planned as plots
from sparse_attention.summaries import planned as published

# waiting threads must not spin: when jobs share cores, spinning makes them many times slower
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
caches.provide()
guard.announce()

no_conda = why_no_conda(workflow.deployment_settings.deployment_method)
for reason in (why_unusable(ROOT), why_unusable(Path.cwd()), no_conda):
    if reason:
        sys.exit(printable(reason))

if workflow.is_main_process and (reason := why_read_only(Path.cwd())):
    sys.exit(printable(reason))

# config.yaml comes first, then the overlays in the order of the command line
CONFIGFILES = sorted(map(str, workflow.configfiles), key=lambda file: file != "config/config.yaml")

if workflow.is_main_process and (reason := lock.claim(sys.argv[1:])):
    sys.exit(reason)

try:
    if workflow.is_main_process:
        command_line.refuse_repeated(sys.argv[1:])
    # of the files of a workflow that uses this one as a module, only the part for this one is read
    OWN_KEY = key_of(config, workflow.modifier_stack[0].globals["config"])
    ORIGINS = read_origins(CONFIGFILES, workflow.config_settings.replace_workflow_config, OWN_KEY)
    # Snakemake passes lists and null of --config on as text, so the parsed values replace them
    COMMAND_LINE_SETTINGS = settings.command_line_settings(workflow.config_settings.config_args or [], config)
    ORIGINS.overlays.append((command_line.COMMAND_LINE, COMMAND_LINE_SETTINGS))
    update_config(config, COMMAND_LINE_SETTINGS)
    DATASETS = load_registry(ROOT / "config/datasets.yaml", config.get("datasets") or {}, ORIGINS)
    settings.validate(config, ORIGINS, DATASETS, Path.cwd())
    PLAN = Plan(config, DATASETS)
    RESULTS = Results(PLAN)
    # beside a bundle that was made without classifiers of code, a run makes only what belongs to them
    MADE = published.planned(RESULTS.files_of_code if PLAN.adds_code else RESULTS.files, config)
    TABLES = starting.tables_held(
        published.planned(RESULTS.files, config), config, Path.cwd(), MADE if PLAN.adds_code else ()
    )
    FIGURE_TABLES = plots.drawn_from(TABLES, RESULTS.pruned)
    PLANNED_FIGURES = plots.planned(FIGURE_TABLES, config)
except InputError as error:
    raise WorkflowError(str(error)) from None

# thousands of jobs share a few scripts and plug-ins
code = functools.cache(code_digest)
REPLACED = {new: f"the existing results were made from {old}" for new, old in selected.replaced(PLAN.selected).items()}
METRIC_MODULES = [plugin.module for plugin in metric_plugins()]
# attributes of metrics and predictors that scripts read; as params they re-run the jobs that depend on them
PLUGIN_FACTS = {
    "metrics": [vars(metric) for metric in support_metrics().values()],
    "predictors": {job.predictor: discover()[job.predictor].facts for job in PLAN.jobs},
}
GPU = int(config["device"].startswith("cuda"))


def growing(**amounts):
    """Return resources that grow with every attempt, for jobs that a scheduler ended at a limit."""
    return {name: lambda wildcards, attempt, first=first: first * attempt for name, first in amounts.items()}


# training goes on where its time ended, so its time need not grow
TRAINING_RESOURCES = {**growing(mem_mb=6000), "runtime": 720, "gpu": GPU}
CLASSIFYING_RESOURCES = {**growing(mem_mb=4000, runtime=240), "gpu": GPU}


def source(file):
    """Return the relative path of a file of the workflow, so that moving the folder does not re-run jobs."""
    return os.path.relpath(ROOT / file)


def local_files(wildcards):
    """Return the user's own files of a data set, and force its retrieval if its receipt belongs to another source.

    Snakemake itself notices another source only while it has records of past jobs, which a copy of the results lacks.
    """
    source = PLAN.retrieved[wildcards.dataset, wildcards.version]
    reason = source.why_stale() or REPLACED.get(source.receipt) if workflow.is_main_process else None
    if reason and source.receipt not in workflow.dag.forcefiles:
        logger.info(f"{source.receipt}: {reason}; everything made from it is made again")
        workflow.dag.forcefiles.add(source.receipt)
    return source.local_files()


def made_from(folder, product, imports):
    """Return an input function that gives `folder`, and forces `product` if it was made by the other rule.

    A product is either fitted or imported; an imported product has a file `imported.json` beside it.
    """

    def given(wildcards):
        path = Path(product.format(**wildcards))
        if workflow.is_main_process and path.exists() and path.with_name("imported.json").exists() != imports:
            workflow.dag.forcefiles.add(str(path))
        return folder

    return given


def declared_by(rule):
    """Return the outputs of a rule, with the folders marked, and where its log lies, for a rule that replaces it."""
    folders = {name for name, path in rule.output.items() if path.flags.get("directory")}
    output = {name: directory(str(path)) if name in folders else str(path) for name, path in rule.output.items()}
    return {"output": output, "place": str(rule.log[0]).removeprefix(log_of(rule.name)[:-4]).strip("/")[:-4]}


def tables_made_by(rule):
    """Return the outputs of a rule that makes several tables, by name, marked for Snakemake's own report."""
    caption = "../workflow/report/table.rst"
    return {
        name: report(table.path, caption=caption, category=table.category, labels={"table": name})
        for name, table in MADE.items()
        if table.made_by == rule
    }


def asked_memory():
    """Return the memory in MiB that each rule with jobs to run asks for, as far as it is known before the start."""
    asked = [(job.rule.name, job.resources.get("mem_mb")) for job in workflow.dag.needrun_jobs()]
    known = [(rule, memory) for rule, memory in asked if isinstance(memory, (int, float))]
    return {rule: memory for rule, memory in sorted(known, key=lambda pair: pair[1])}


wildcard_constraints:
    **WILDCARDS,
