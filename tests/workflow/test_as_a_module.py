"""docs/as-a-module.md, followed: another workflow uses this one; its results lie beside that workflow."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import yaml
from snakemake.utils import update_config

from guides import Guide


@pytest.fixture
def other(checkout, tmp_path):
    """The folder of another workflow that is made as the page says, with the tiny configuration."""
    (text,) = Guide("as-a-module.md").blocks()
    folder = tmp_path / "other"
    (folder / "config").mkdir(parents=True)
    (folder / "Snakefile").write_text(text.replace("../sparse-attention-workflow/", f"{checkout.folder}/"))
    config = {}
    for file in ("config/config.yaml", "tests/config/tiny.yaml"):
        update_config(config, yaml.safe_load((checkout.folder / file).read_text()))
    (folder / "config/config.yaml").write_text(yaml.safe_dump({"sparsity": config, "mine": 1}))
    (checkout.folder / "resources").rename(folder / "resources")
    return folder


def snakemake(folder, *arguments):
    command = [sys.executable, "-m", "snakemake", "--cores", "2", *arguments]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def test_results_lie_beside_the_other_workflow_and_the_clone_stays_as_it_is(other, checkout):
    before = {path for path in checkout.folder.rglob("*") if "__pycache__" not in path.parts}
    run = snakemake(other, "results/tables/corpus.tsv")
    assert run.returncode == 0, run.stdout + run.stderr
    assert (other / "results/tables/corpus.tsv").is_file() and "sparsity_prepare" in run.stdout + run.stderr
    assert {path for path in checkout.folder.rglob("*") if "__pycache__" not in path.parts} == before


def test_the_rule_of_the_other_workflow_is_the_last_of_all_that_it_needs(other):
    run = snakemake(other, "--dry-run")
    planned = run.stdout + run.stderr
    assert run.returncode == 0 and "sparsity_train_mlm" in planned and "sparsity_summarise_predictors" in planned
    assert "results/summary.txt" in planned


@pytest.mark.again
def test_the_rule_of_the_other_workflow_runs_after_all_that_it_needs(other):
    run = snakemake(other)
    assert run.returncode == 0, run.stdout + run.stderr
    table = (other / "results/tables/pareto.tsv").read_text().splitlines()
    assert (other / "results/summary.txt").read_text().splitlines() == table[:3]


def test_a_mistake_in_its_part_of_the_configuration_is_named(other):
    file = other / "config/config.yaml"
    file.write_text(file.read_text().replace("corpus: tiny", "corpus: tinny"))
    run = snakemake(other, "--dry-run")
    assert run.returncode == 1 and "'tinny' is not in corpora" in run.stdout + run.stderr
