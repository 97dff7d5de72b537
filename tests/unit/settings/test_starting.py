from __future__ import annotations

import os
from types import SimpleNamespace

import pytest

from archived_runs import CONFIG, OUTPUTS, ROOT, make_results
from sparse_attention.archiving.packing import pack
from sparse_attention.settings.starting import problems, sections_with_files, selections_with_files, tables_held

REGISTRY = {"results": {"kind": "archive"}, "wiki": {"kind": "text"}}


def started(stage, **place):
    return {**CONFIG, "start_from": {"stage": stage, **place}}


@pytest.fixture
def place(tmp_path):
    make_results(tmp_path / "run")
    pack(tmp_path / "one.zip", OUTPUTS, ["tables"], tmp_path / "run", ROOT)
    return os.fspath(tmp_path / "one.zip")


@pytest.mark.parametrize(
    ("where", "message"),
    [
        pytest.param({}, "needs either dataset or path, and not both", id="none"),
        pytest.param({"path": "a", "dataset": "results"}, "needs either dataset or path", id="both"),
        pytest.param({"dataset": "wiki"}, "'wiki' is no data set of kind archive; allowed: results", id="kind"),
        pytest.param({"dataset": "nowhere"}, "'nowhere' is no data set of kind archive", id="unknown"),
        pytest.param({"path": "none.zip"}, "none.zip", id="missing"),
    ],
)
def test_a_place_without_a_bundle_is_named(tmp_path, where, message):
    (problem,) = problems(started("tables", **where), REGISTRY, tmp_path)
    assert problem.key[0] == "start_from" and message in problem.text


def test_a_bundle_of_the_same_settings_is_taken(place, tmp_path):
    assert list(problems(started("tables", path=place), REGISTRY, tmp_path)) == []
    assert list(problems(started("tables", dataset="results"), REGISTRY, tmp_path)) == []


def test_each_setting_that_differs_is_a_problem_of_its_own(place, tmp_path):
    config = {**started("tables", path=place), "seeds": [7], "blocks": {"length": 8}}
    assert {problem.key for problem in problems(config, REGISTRY, tmp_path)} == {("seeds",), ("blocks",)}


def test_only_files_that_the_run_still_reads_must_exist():
    everything = {**CONFIG, "start_from": None}
    assert len(sections_with_files(everything)) == 5 and selections_with_files(everything, ["corpus"]) == ["corpus"]
    assert sections_with_files(started("models")) == ["extract_qk", "fit_projections", "fit_clusters"]
    assert sections_with_files(started("tables")) == []
    chosen = ["corpus", "model", "code", "classifier"]
    assert selections_with_files(started("qk"), chosen) == ["classifier"]  # the pruned data set trains it anew
    assert selections_with_files(started("predictors"), chosen) == []


def test_tables_that_an_older_bundle_lacks_are_left_out(place, tmp_path):
    tables = {name: SimpleNamespace(path=f"results/tables/{name}.tsv") for name in ("predictors", "newer")}
    assert list(tables_held(tables, started("tables", path=place), tmp_path)) == ["predictors"]
    for config in (started("predictors", path=place), started("tables", dataset="results"), {**CONFIG}):
        assert tables_held(tables, config, tmp_path) == tables
