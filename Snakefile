# The workflow, from raw text to figures on the prediction of attention sparsity. docs/methods.md explains what is
# computed, config/README.md the settings, results/README.md the files in results/.
from snakemake.utils import min_version

min_version("9.0")


configfile: "config/config.yaml"


report: "workflow/report/workflow.rst"


include: "rules/common.smk"


if config["container"]:

    containerized: config["container"]


include: "rules/retrieve.smk"


if not PLAN.from_dump:

    include: "rules/prepare.smk"
    include: "rules/train.smk"


include: "rules/extract.smk"
include: "rules/project.smk"
include: "rules/clusters.smk"
include: "rules/evaluate.smk"


if config["map_attention"]:

    include: "rules/map_attention.smk"


if config["time_attention"]:

    include: "rules/time_attention.smk"


if any(PLAN.sparse.values()):

    include: "rules/sparse_mlm.smk"


if "sparse_mlm_losses" in RESULTS.files:

    include: "rules/sparse_mlm_tables.smk"


if config["deviations"]:

    include: "rules/deviations.smk"


if PLAN.code:

    include: "rules/code.smk"
    include: "rules/prune.smk"
    include: "rules/pruned.smk"

    if config["export_pruned"]:

        include: "rules/export_pruned.smk"


include: "rules/tables.smk"
include: "rules/figures.smk"
include: "rules/report.smk"


if PLAN.bundle:

    include: "rules/restore.smk"


localrules:
    all,
    tables,
    figures,
    sparse_mlm,
    retrieve,


rule all:
    default_target: True
    input:
        "results/report.html",
        FIGURES,
        TSV,
        TEX,
        RESULTS.pages,
        [] if PLAN.only_tables else [RESULTS.centroids, RESULTS.sparse_models],
        RESULTS.exported,


rule tables:
    input:
        TSV,
        TEX,


rule figures:
    input:
        FIGURES,


rule sparse_mlm:
    input:
        [table.path for table in TABLES.values() if table.section == "sparse_mlm"],
        plots.files_of(PLANNED_FIGURES, "sparse_mlm"),
        RESULTS.sparse_models,


if workflow.is_main_process:
    logger.info(PLAN.preflight)
    estimated, lacking = needs.forecast(PLAN)
    if estimated:
        logger.info(estimated)
    if lacking:
        logger.warning(f"The disk may be too small: {lacking}")


onstart:
    if reason := scheduler.why_unreachable(
        workflow.executor_plugin.name, getattr(workflow.executor_settings, "submit_cmd", None)
    ):
        raise WorkflowError(reason)
    selected.record(PLAN.selected)
    if workflow.local_exec and (lacking := needs.missing_memory(asked_memory())):
        logger.warning(lacking)
    time_left.follow(logger, workflow, PLAN)


onsuccess:
    lock.record_end()


onerror:
    lock.record_end()
