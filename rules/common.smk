import os
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.utils import update_config

ROOT = Path(workflow.current_basedir).parent
sys.path.insert(0, str(ROOT / "workflow/scripts"))

from sparse_attention.data import selected
from sparse_attention.errors import InputError, printable
from sparse_attention.files import segments
from sparse_attention.jobs import caches, lock
from sparse_attention.jobs.code_digest import code_digest
from sparse_attention.metrics.facts import metric_plugins, support_metrics
from sparse_attention.predictors.registry import discover
from sparse_attention.settings import command_line, grids
from sparse_attention.settings import config as settings
from sparse_attention.settings.datasets import load_registry
from sparse_attention.settings.origins import read_origins

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
METRICS = [plugin.module for plugin in metric_plugins()]
# what scripts read in the files of metrics and predictors
FACTS = {
    "metrics": [vars(metric) for metric in support_metrics().values()],
    "predictors": {job.predictor: discover()[job.predictor].facts for job in JOBS},
}
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
