"""docs/adding-a-predictor.md, followed step by step."""

from __future__ import annotations

import re

import pandas as pd
import pytest

from guides import Guide
from sparse_attention.predictors.registry import BOUNDS, GROUPS, LITERALS

TINY = "tests/config/tiny.yaml"


@pytest.fixture(scope="module")
def guide():
    """The path and text of the module, and the name and text of the overlay."""
    page = Guide("adding-a-predictor.md")
    code, overlay, command = page.blocks()
    assert command == 'make run ARGS="--configfile norm.yaml"\n'
    module = re.search(r"in `(workflow/scripts/sparse_attention/predictors/\w+\.py)`", page.text)[1]
    return module, code, re.search(r"here `(\w+\.yaml)`", page.text)[1], overlay


def test_one_file_and_one_entry_run_one_evaluation_and_nothing_that_was_there(guide, copy_of_finished):
    module, code, name, overlay = guide
    copy_of_finished.write(module, code)
    copy_of_finished.write(name, overlay)
    configfiles = (TINY, name)
    planned = copy_of_finished.planned(configfiles=configfiles)
    assert planned.count("evaluate_predictor") == 1
    again = {"train_mlm", "extract_qk", "gold_support", "fit_projections", "fit_clusters", "export_centroids",
             "analyse_buckets", "prepare", "tokenise", "retrieve", "measure_deviations"}  # fmt: skip
    assert not again & set(planned)
    assert copy_of_finished.planned("--until", "evaluate_predictor", configfiles=configfiles) == ["evaluate_predictor"]

    run = copy_of_finished.snakemake(configfiles=configfiles)
    assert run.returncode == 0, run.stdout + run.stderr
    table = pd.read_csv(copy_of_finished.folder / "results/tables/predictors.tsv", sep="\t")
    found = table[table["predictor"] == "norm"]
    assert set(found["point"]) == {"keys~4", "keys~16"}
    assert set(found["label"]) == {"Key norm"} and set(found["family"]) == {"norm"} and found["bound"].isna().all()
    assert found["recall"].between(0, 1).all() and found["computation_sparsity"].notna().all()
    assert "Key norm" in (copy_of_finished.folder / "results/report.html").read_text(encoding="utf-8")
    assert copy_of_finished.planned(configfiles=configfiles) == []


def test_the_page_names_what_a_class_can_say():
    text = Guide("adding-a-predictor.md").text
    assert set(LITERALS) <= set(re.findall(r"`(\w+)(?: = [^`]+)?`", text))
    assert all(f'"{name}"' in text for name in (*GROUPS, *BOUNDS))


def test_a_wrong_value_is_refused_before_anything_runs(guide, checkout):
    module, code, name, _ = guide
    checkout.write(module, code)
    checkout.write(name, "predictors:\n  norm: {keys: [0], width: 3}\n")
    run = checkout.snakemake("--dry-run", configfiles=(TINY, name))
    output = run.stdout + run.stderr
    assert run.returncode != 0
    assert "predictors.norm.keys" in output and "at least 1" in output
    assert "predictors.norm.width" in output
    assert "Traceback" not in output
