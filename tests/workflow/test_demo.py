"""The first look of `make demo`: both pipelines, in a folder of its own, with the downloads of the default run."""

from __future__ import annotations

import re

from plans import plan, read
from sparse_attention.settings.estimate import estimate

DEMO = ("--directory", "demo")
OVERLAYS = ("config/config.yaml", "config/demo.yaml")
WIKI = {"prepare", "train_mlm", "extract_qk", "gold_support", "fit_projections", "fit_clusters", "evaluate_predictor",
        "evaluate_sparse_mlm", "finetune_sparse_mlm", "time_attention"}  # fmt: skip
CODE = {"prepare_code", "train_classifier", "prune_soft", "prune_hard", "evaluate_pruning", "time_pruning",
        "show_pruning", "export_pruned"}  # fmt: skip


def test_it_has_both_pipelines_and_few_jobs(checkout):
    jobs = checkout.planned(*DEMO, configfiles=OVERLAYS)
    assert set(jobs) > WIKI | CODE | {"plot", "report"}
    assert sum(job not in {"summarise", "plot"} for job in jobs) <= 60
    assert len(jobs) <= 100


def test_it_reads_what_the_default_run_reads():
    assert plan(read("demo.yaml")).retrieved.keys() == plan().retrieved.keys()
    assert "datasets" not in read("demo.yaml")


def test_its_computations_are_those_of_some_minutes():
    model = {"dimensions": {"layers": 6, "heads": 12, "head_dim": 32, "vocabulary": 30522, "positions": 512}}
    small = plan(read("demo.yaml"), models={"minilm-l6": {"dataset": "all-minilm-l6-v2", **model}})
    assert not estimate(small).unknown
    # six minutes of two cores, of which tables, figures and Snakemake itself take some
    assert sum(estimate(small).seconds.values()) < 480


def test_it_leaves_the_results_of_other_runs_alone_and_retrieves_nothing_twice(checkout):
    (checkout.folder / "demo").mkdir()
    (checkout.folder / "demo/resources").symlink_to("../resources")
    target, tiny = "results/data/tiny/statistics.tsv", "tests/config/tiny.yaml"
    run = checkout.snakemake(target, *DEMO, configfiles=("config/config.yaml", tiny))
    assert run.returncode == 0, run.stdout + run.stderr
    assert re.search(r"^Progress: 1 of 2 jobs, ", run.stderr, re.MULTILINE)
    assert (checkout.folder / "demo" / target).exists() and not (checkout.folder / "results").exists()
    assert checkout.planned(target) == ["prepare"]
