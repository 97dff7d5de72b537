"""A finished run is packed, published, and wiped; its figures are drawn again from the bundle."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile

import pytest

from sparse_attention.archiving.bundle import Bundle
from zenodo_server import TOKEN


def pack(checkout, place, stages, *arguments):
    command = [sys.executable, "tools/archive.py", "--stages", *stages, "--output", str(place), *arguments]
    run = subprocess.run(command, cwd=checkout.folder, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    return Bundle(place)


@pytest.fixture(scope="module")
def packed(finished, tmp_path_factory):
    """Return a bundle of the finished run with everything from which a run can start."""
    place = tmp_path_factory.mktemp("archive") / "bundle.zip"
    pack(finished, place, ["tables", "predictors", "centroids", "figures"], "--configfile", "tests/config/tiny.yaml")
    return place


def test_a_run_in_a_folder_of_its_own_is_packed_from_there(packed, copy_of_finished):
    folder = copy_of_finished.folder / "elsewhere"
    folder.mkdir()
    for name in ("results", "resources", ".snakemake"):
        (copy_of_finished.folder / name).rename(folder / name)
    place = copy_of_finished.folder / "packed/elsewhere.zip"
    # only times count, because the paths of the scripts are others from there
    ours = ("--directory", "elsewhere", "--rerun-triggers", "mtime")
    ours += ("--configfile", "config/config.yaml", "tests/config/tiny.yaml")
    there = pack(copy_of_finished, place, ["tables", "predictors", "centroids", "figures"], *ours)
    assert there.members == Bundle(packed).members


def publish(checkout, bundle, zenodo, token=TOKEN):
    command = [sys.executable, "tools/publish.py", str(bundle), "--server", zenodo.url]
    environment = {**os.environ, "ZENODO_TOKEN": token}
    return subprocess.run(command, cwd=checkout.folder, env=environment, capture_output=True, text=True)


def start(checkout, bundle, stage, **overlay):
    """Write what starts from a stage of a bundle, and return the names of the two configuration files."""
    with zipfile.ZipFile(bundle) as archive:
        checkout.write("archived/config.yaml", archive.read("config.yaml").decode())
    where = {} if overlay else {"path": str(bundle)}
    overlay = {"start_from": {"stage": stage, **where}} | overlay
    return "archived/config.yaml", checkout.write("archived/start.yaml", json.dumps(overlay))


def drawn(folder):
    """Return the figures of a run and its tables as LaTeX."""
    found = [*folder.glob("results/figures/*"), *folder.glob("results/tables/*.tex"), folder / "results/report.html"]
    return {path.relative_to(folder): path.read_bytes() for path in found}


def made(folder):
    """Return the tables of a run, also as LaTeX, and its manifest."""
    tables = {path.name: path.read_bytes() for path in (folder / "results/tables").glob("*.t*")}
    return tables, json.loads((folder / "results/provenance/manifest.json").read_text())


def test_published_results_are_regenerated_from_the_record(packed, finished, checkout, zenodo):
    run = publish(finished, packed, zenodo)
    assert run.returncode == 0 and TOKEN not in run.stdout + run.stderr, run.stderr
    ((number, draft),) = zenodo.drafts.items()
    assert f"Review and publish the draft: {zenodo.url}/uploads/{number}" in run.stdout
    assert set(draft["files"]) == {"bundle.zip", "README.md", "config.yaml", "ro-crate-metadata.json"}
    assert not draft["submitted"] and draft["metadata"]["title"].startswith("Results of")
    zenodo.publish(number)

    entry = {"kind": "archive", "version": "1", "source": {"type": "zenodo", "record": number, "server": zenodo.url}}
    mine = {"start_from": {"stage": "tables", "dataset": "mine"}, "datasets": {"mine": entry}}
    files = start(checkout, packed, "tables", **mine)
    run = checkout.snakemake(configfiles=files)
    assert run.returncode == 0, run.stdout + run.stderr
    assert drawn(checkout.folder) == drawn(finished.folder)
    assert checkout.planned(configfiles=files) == []


def test_a_refused_token_is_one_line(packed, finished, zenodo):
    run = publish(finished, packed, zenodo, token="another-token")
    assert run.returncode == 1 and "401" in run.stderr and "another-token" not in run.stdout + run.stderr
    assert "Traceback" not in run.stderr and zenodo.drafts == {}


def test_tables_are_made_from_archived_evaluations(packed, finished, checkout):
    run = checkout.snakemake(
        "tables", "results/provenance/manifest.json", configfiles=start(checkout, packed, "predictors")
    )
    assert run.returncode == 0, run.stdout + run.stderr
    (ours, first), (theirs, second) = (made(folder) for folder in (checkout.folder, finished.folder))
    assert ours == theirs
    assert first["data"][:-1] == second["data"] and first["data"][-1]["kind"] == "archive"


@pytest.fixture
def without_code(packed, tmp_path):
    """Return the tables of the language models as a bundle of a run without code."""
    of_code = ("prun", "code", "threshold", "text_baselines", "runtime")
    with zipfile.ZipFile(packed) as archive:
        archive.extractall(tmp_path / "bundle")
    index = tmp_path / "bundle/bundle.json"
    content = json.loads(index.read_text())
    content["config"]["code"] = None
    content["files"] = [file for file in content["files"] if not any(part in file["path"] for part in of_code)]
    index.write_text(json.dumps(content))
    return tmp_path / "bundle"


def test_classifiers_of_code_are_added_to_archived_language_models(packed, without_code, finished, checkout):
    settings, overlay = start(checkout, packed, "tables")
    checkout.write(overlay, json.dumps({"start_from": {"stage": "tables", "path": str(without_code)}}))
    planned = set(checkout.planned(configfiles=(settings, overlay)))
    assert {"train_classifier", "prune_soft", "export_pruned", "restore_tables", "report"} <= planned
    assert not {"prepare", "train_mlm", "extract_qk", "gold_support", "evaluate_predictor"} & planned
    run = checkout.snakemake("tables", "results/provenance/manifest.json", configfiles=(settings, overlay))
    assert run.returncode == 0, run.stdout + run.stderr
    (ours, first), (theirs, second) = (made(folder) for folder in (checkout.folder, finished.folder))
    assert ours == theirs
    assert first["kernels"] == second["kernels"] != []
    assert {receipt["kind"] for receipt in first["data"]} == {"archive", "code", "model", "text"}

    targets = ("tables", "results/provenance/manifest.json")
    both = pack(checkout, checkout.folder / "both/both.zip", ["tables"], *targets, "--configfile", settings, overlay)
    assert both.config["code"] is not None
    assert {f"results/tables/{name}" for name in ours if name.endswith(".tsv")} <= set(both.members)


@pytest.mark.parametrize(
    ("stage", "computed"),
    [
        ("centroids", {"evaluate_predictor", "evaluate_sparse_mlm", "prune_soft"}),
        ("qk", {"fit_projections", "fit_clusters", "evaluate_predictor", "prune_soft"}),
        ("models", {"extract_qk", "gold_support", "fit_projections", "prune_soft"}),
    ],
)
def test_a_run_computes_only_what_comes_after_its_stage(packed, checkout, stage, computed):
    planned = set(checkout.planned(configfiles=start(checkout, packed, stage)))
    assert computed <= planned and "restore_train_mlm" in planned
    assert not {"prepare", "tokenise", "train_mlm", "train_classifier"} & planned
    assert ("extract_qk" in planned) == (stage == "models")


@pytest.mark.again
@pytest.mark.parametrize("stage", ["centroids", "qk", "models"])
def test_a_run_from_any_stage_ends_in_the_same_tables(packed, finished, checkout, stage):
    run = checkout.snakemake("tables", "results/provenance/manifest.json", configfiles=start(checkout, packed, stage))
    assert run.returncode == 0, run.stdout + run.stderr
    (ours, _), (theirs, _) = (made(folder) for folder in (checkout.folder, finished.folder))
    assert ours == theirs


def test_other_settings_than_those_of_the_bundle_are_refused_before_any_job(packed, checkout):
    files = start(checkout, packed, "tables")
    run = checkout.snakemake("--dry-run", "--config", "seeds=[5]", configfiles=files)
    assert run.returncode == 1
    assert "seeds: [5] is not what" in run.stdout + run.stderr and "Traceback" not in run.stdout + run.stderr
