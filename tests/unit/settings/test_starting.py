from __future__ import annotations

import json
import os
import zipfile
from types import SimpleNamespace

import pytest

from archived_runs import CONFIG, OUTPUTS, ROOT, make_results
from sparse_attention.archiving.packing import pack
from sparse_attention.settings.starting import (
    adds_code,
    problems,
    sections_with_files,
    selections_with_files,
    tables_held,
)

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
    assert {problem.key for problem in problems(config, REGISTRY, tmp_path)} == {("seeds",), ("blocks", "length")}


def test_a_default_that_came_after_the_bundle_is_taken(place, tmp_path):
    config = started("tables", path=place)
    config["train_mlm"] = {**CONFIG["train_mlm"], "compile": False}
    assert list(problems(config, REGISTRY, tmp_path)) == []
    config["train_mlm"]["compile"] = True
    (problem,) = problems(config, REGISTRY, tmp_path)
    assert problem.key == ("train_mlm", "compile") and "allowed: false, " in problem.text


def test_a_bundle_with_a_configuration_of_another_form_is_one_problem(place, tmp_path):
    with zipfile.ZipFile(place) as archive:
        archive.extractall(tmp_path / "odd")
    index = tmp_path / "odd/bundle.json"
    content = json.loads(index.read_text())
    content["config"]["models"] = None
    index.write_text(json.dumps(content))
    (problem,) = problems(started("tables", path=str(tmp_path / "odd")), REGISTRY, tmp_path)
    assert problem.key == ("start_from", "path") and "bundle.json is damaged" in problem.text


def test_only_files_that_the_run_still_reads_must_exist(tmp_path):
    everything = {**CONFIG, "start_from": None}
    assert len(sections_with_files(everything, tmp_path)) == 5
    assert selections_with_files(everything, ["corpus"], tmp_path) == ["corpus"]
    assert sections_with_files(started("models"), tmp_path) == ["extract_qk", "fit_projections", "fit_clusters"]
    assert sections_with_files(started("tables"), tmp_path) == []
    chosen = ["corpus", "model", "code", "classifier"]
    # the pruned data set trains it anew
    assert selections_with_files(started("qk"), chosen, tmp_path) == ["classifier"]
    assert selections_with_files(started("predictors"), chosen, tmp_path) == []


@pytest.fixture
def without_code(tmp_path):
    """Return the place of a bundle of a run without code."""
    make_results(tmp_path / "of_text")
    manifest = tmp_path / "of_text/results/provenance/manifest.json"
    content = json.loads(manifest.read_text())
    content["config"] |= {"code": None, "prepare_code": {"max_lines": 9}}
    manifest.write_text(json.dumps(content))
    pack(tmp_path / "text/text.zip", OUTPUTS, ["predictors", "tables"], tmp_path / "of_text", ROOT)
    return os.fspath(tmp_path / "text/text.zip")


def test_classifiers_are_added_only_to_tables_of_a_bundle_without_any(place, without_code, tmp_path):
    added = started("tables", path=without_code)
    assert adds_code(added, tmp_path) and list(problems(added, REGISTRY, tmp_path)) == []
    for config in (
        {**added, "code": None}, started("predictors", path=without_code), started("tables", path=place),
        started("tables", dataset="results"), started("tables", path="none.zip"), {**CONFIG},
    ):  # fmt: skip
        assert not adds_code(config, tmp_path)


def test_a_bundle_that_does_not_say_whether_it_has_code_is_refused_by_its_settings(without_code, tmp_path):
    with zipfile.ZipFile(without_code) as archive:
        archive.extractall(tmp_path / "odd")
    index = tmp_path / "odd/bundle.json"
    content = json.loads(index.read_text())
    del content["config"]["code"], content["config"]["classifier"]
    index.write_text(json.dumps(content))
    config = started("tables", path=str(tmp_path / "odd"))
    assert not adds_code(config, tmp_path)
    keys = {problem.key for problem in problems(config, REGISTRY, tmp_path)}
    assert {("code",), ("classifier",)} <= keys


def test_a_run_that_adds_classifiers_reads_their_files_and_makes_their_tables(without_code, tmp_path):
    added = started("tables", path=without_code)
    assert sections_with_files(added, tmp_path) == ["train_classifier"]
    chosen = ["corpus", "model", "code", "classifier"]
    assert selections_with_files(added, chosen, tmp_path) == ["code", "classifier"]
    tables = {name: SimpleNamespace(path=f"results/tables/{name}.tsv") for name in ("predictors", "newer", "pruning")}
    assert list(tables_held(tables, added, tmp_path, ["pruning"])) == ["predictors", "pruning"]


def test_what_the_language_models_depend_on_must_still_be_the_same(without_code, tmp_path):
    other = {**started("tables", path=without_code), "classifier": "large", "seeds": [7]}
    other["models"] = {"small": {"path": ".../another"}, "large": {"path": ".../large"}}
    assert {problem.key for problem in problems(other, REGISTRY, tmp_path)} == {("seeds",), ("models", "small", "path")}
    other["models"]["small"] = CONFIG["models"]["small"]
    assert {problem.key for problem in problems(other, REGISTRY, tmp_path)} == {("seeds",)}


def test_tables_that_an_older_bundle_lacks_are_left_out(place, tmp_path):
    tables = {name: SimpleNamespace(path=f"results/tables/{name}.tsv") for name in ("predictors", "newer")}
    assert list(tables_held(tables, started("tables", path=place), tmp_path)) == ["predictors"]
    for config in (started("predictors", path=place), started("tables", dataset="results"), {**CONFIG}):
        assert tables_held(tables, config, tmp_path) == tables
