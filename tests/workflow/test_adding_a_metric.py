"""docs/adding-a-metric.md, followed step by step."""

from __future__ import annotations

import re

import pandas as pd
import pytest

from guides import Guide
from sparse_attention.evaluation.counts import Counts
from sparse_attention.evaluation.metrics.base import Metric
from sparse_attention.metrics.facts import LITERALS

GUIDE = Guide("adding-a-metric.md")


@pytest.fixture(scope="module")
def guide():
    """The path and text of the module."""
    code, command = GUIDE.blocks()
    assert command == "make run\n"
    return re.search(r"in `(workflow/scripts/sparse_attention/evaluation/metrics/\w+\.py)`", GUIDE.text)[1], code


def read(checkout, name):
    return pd.read_csv(checkout.folder / f"results/tables/{name}.tsv", sep="\t")


@pytest.mark.again
def test_one_file_is_a_column_of_every_table_and_stands_in_the_report(guide, copy_of_finished):
    before = {name: read(copy_of_finished, name) for name in ("predictors", "pareto", "areas")}
    copy_of_finished.write(*guide)
    planned = set(copy_of_finished.planned())
    assert "evaluate_predictor" in planned
    again = {"train_mlm", "extract_qk", "gold_support", "fit_projections", "fit_clusters", "analyse_buckets"}
    assert not again & planned

    run = copy_of_finished.snakemake()
    assert run.returncode == 0, run.stdout + run.stderr
    after = {name: read(copy_of_finished, name) for name in before}
    for table in (after["predictors"], read(copy_of_finished, "predictors_by_head")):
        assert table["overlap"].between(0, 1).all() and (table["overlap"] <= table["recall"] + 1e-6).all()
    pd.testing.assert_frame_equal(after["predictors"].drop(columns=["overlap", "overlap_ci95"]), before["predictors"])
    fronts = after["pareto"]
    assert len(fronts[fronts["metric"] == "overlap"])
    pd.testing.assert_frame_equal(fronts[fronts["metric"] != "overlap"], before["pareto"])
    assert after["areas"][["area_overlap", "area_overlap_low", "hypervolume_overlap"]].notna().all(axis=None)
    assert {"overlap", "overlap_low", "overlap_high"} <= set(read(copy_of_finished, "predictors_at_sparsity").columns)

    results = copy_of_finished.folder / "results"
    for name in ("predictors_at_sparsity", "areas"):
        assert "Overlap" in (results / f"tables/{name}.tex").read_text(encoding="utf-8")
    report = (results / "report.html").read_text(encoding="utf-8")
    meaning = re.search(r'meaning = "(.+)"', guide[1])[1]
    assert f"<dt>Overlap</dt><dd>{meaning}</dd>" in report and "overlap at sparsity" in report
    assert copy_of_finished.planned() == []


@pytest.mark.again
def test_a_value_out_of_range_ends_the_run(guide, copy_of_finished):
    module, code = guide
    copy_of_finished.write(module, code.replace("return share(", "return 2 + share("))
    run = copy_of_finished.snakemake("--until", "check_invariants")
    assert run.returncode != 0
    assert "overlap must be from 0 to 1" in run.stdout + run.stderr


def test_the_page_names_what_a_class_can_say_and_every_count():
    named = set(re.findall(r"`(\w+)(?: = [^`]+)?`", GUIDE.text))
    assert set(LITERALS) <= named
    assert {name for name in (*Counts.__annotations__, "hits")} <= named
    assert set(LITERALS) == set(Metric.__annotations__)
