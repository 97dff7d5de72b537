"""docs/adding-a-score.md, followed step by step."""

from __future__ import annotations

import re
from collections import Counter

import pandas as pd
import pytest

from guides import Guide

TINY = "tests/config/tiny.yaml"
SCORES = "workflow/scripts/sparse_attention/pruning/scores"
DENSE = {"retrieve", "prepare_code", "tokenise_code", "train_classifier", "evaluate_dense"}


@pytest.fixture(scope="module")
def guide():
    """The path and text of the module, and the name and text of the overlay."""
    page = Guide("adding-a-score.md")
    code, overlay, command = page.blocks()
    assert command == 'make run ARGS="--configfile either.yaml"\n'
    module = re.search(rf"in `({SCORES}/\w+\.py)`", page.text)[1]
    return module, code, re.search(r"here `(\w+\.yaml)`", page.text)[1], overlay


@pytest.mark.again
def test_one_file_and_one_entry_prune_by_it_and_train_nothing_that_was_there(guide, copy_of_finished):
    module, code, name, overlay = guide
    copy_of_finished.write(module, code)
    assert copy_of_finished.planned() == []
    copy_of_finished.write(name, overlay)
    configfiles = (TINY, name)
    planned = Counter(copy_of_finished.planned(configfiles=configfiles))
    own = ("prune_hard", "evaluate_pruning", "time_pruning", "show_pruning", "export_pruned", "retrain_pruned")
    assert {rule: planned[rule] for rule in own} == dict.fromkeys(own, 1)
    assert not {*DENSE, "prune_soft", "train_mlm"} & set(planned)

    run = copy_of_finished.snakemake(configfiles=configfiles)
    assert run.returncode == 0, run.stdout + run.stderr
    table = pd.read_csv(copy_of_finished.folder / "results/tables/pruning.tsv", sep="\t")
    assert {"mode~topk_score~cls_final~0.3", "mode~topk_score~either_final~0.3"} <= set(table["pruning"])
    assert "either" in (copy_of_finished.folder / "results/report.html").read_text(encoding="utf-8")
    assert copy_of_finished.planned(configfiles=configfiles) == []


def test_an_edit_of_a_score_prunes_anew_only_what_goes_by_it(copy_of_finished):
    module = copy_of_finished.folder / SCORES / "cls.py"
    module.write_text(module.read_text() + "\nUNUSED = 1\n")
    planned = Counter(copy_of_finished.planned())
    assert planned["prune_hard"] == planned["time_pruning"] == planned["show_pruning"] == 1
    assert not {*DENSE, "prune_soft"} & set(planned)


def test_an_unknown_score_is_refused_before_anything_runs(guide, checkout):
    module, code, name, overlay = guide
    checkout.write(module, code)
    checkout.write(name, overlay.replace("either]", "eiter]"))
    run = checkout.snakemake("--dry-run", configfiles=(TINY, name))
    output = run.stdout + run.stderr
    assert run.returncode != 0 and "Traceback" not in output
    assert "prunings[0].score" in output and "did you mean either?" in output
    assert "either (attention of CLS or mean attention received, whichever is more)" in output
