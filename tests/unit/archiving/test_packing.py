from __future__ import annotations

import hashlib
import json
import re
import zipfile

import pytest
import yaml

from archived_runs import CONFIG, OUTPUTS, RECEIPT, ROOT
from sparse_attention.archiving.bundle import INDEX, Bundle
from sparse_attention.archiving.card import readme
from sparse_attention.archiving.packing import configuration, pack
from sparse_attention.archiving.targets import ADDED, BESIDE
from sparse_attention.errors import InputError


@pytest.mark.parametrize("name", ["bundle.zip", "bundle"], ids=["zip", "folder"])
def test_the_same_results_give_the_same_bytes(packed, name, tmp_path):
    def content(place):
        return place.read_bytes() if place.is_file() else contents(place)

    first = content(packed(name, "models", "tables"))
    assert content(packed(name, "models", "tables")) == first


@pytest.mark.parametrize(
    ("stage", "rules"),
    [
        ("tables", {"summarise_predictors", "manifest"}),
        ("figures", {"plot", "write_latex", "manifest"}),
        ("predictors", {"evaluate_predictor", "train_mlm", "manifest"}),
        ("qk", {"extract_qk", "train_mlm", "manifest"}),
        ("models", {"train_mlm", "manifest"}),
        ("exports", {"prune_hard", "manifest"}),
    ],
)
def test_a_stage_holds_what_a_run_that_starts_from_it_reads(packed, stage, rules):
    inside = members(packed, stage)
    made_by = {OUTPUTS[made] for made in OUTPUTS for path in inside if path == made or path.startswith(f"{made}/")}
    assert made_by == rules


def members(packed, stage):
    return Bundle(packed("one.zip", stage)).members


def test_of_models_the_stage_of_predictors_holds_only_tables(packed):
    assert all("/model/" not in path for path in members(packed, "predictors"))


def test_hidden_files_stay_out(packed):
    assert not [path for path in members(packed, "models") if "/." in path]


def test_checksums_are_those_of_the_files(packed):
    place = packed("one.zip", "models", "tables", "figures")
    with zipfile.ZipFile(place) as archive:
        for path, member in Bundle(place).members.items():
            content = archive.read(path)
            assert (len(content), hashlib.sha256(content).hexdigest()) == (member.size, member.sha256), path


@pytest.mark.parametrize("name", ["bundle.zip", "bundle"], ids=["zip", "folder"])
def test_the_index_has_the_checksum_of_every_file_but_itself(packed, name):
    place = packed(name, "models", "tables")
    inside = contents(place)
    index = json.loads(inside.pop(INDEX))
    listed = {entry["path"]: (entry["size"], entry["sha256"]) for entry in [*index["files"], *index["about"]]}
    assert listed == {path: (len(one), hashlib.sha256(one).hexdigest()) for path, one in inside.items()}
    assert {entry["path"] for entry in index["about"]} == {*BESIDE, *ADDED}
    assert set(Bundle(place).members) == {entry["path"] for entry in index["files"]}


def contents(place):
    """Return the content of each file of a bundle."""
    if place.is_dir():
        return {path.relative_to(place).as_posix(): path.read_bytes() for path in place.rglob("*") if path.is_file()}
    with zipfile.ZipFile(place) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_crate_describes_every_file_with_its_checksum(packed):
    inside = contents(packed("one.zip", "models", "tables"))
    graph = {entity["@id"]: entity for entity in json.loads(inside.pop("ro-crate-metadata.json"))["@graph"]}
    files = {entity["@id"]: entity.get("sha256") for entity in graph.values() if entity["@type"] == "File"}
    # the index holds the crate's checksum, so the crate cannot hold that of the index
    expected = {path: hashlib.sha256(one).hexdigest() for path, one in inside.items()} | {INDEX: None}
    assert files == expected
    root = graph["./"]
    assert root["datePublished"] == str(yaml.safe_load((ROOT / "CITATION.cff").read_text())["date-released"])
    assert {part["@id"] for part in root["hasPart"]} == set(files)
    assert [graph[source["@id"]]["license"] for source in root["isBasedOn"]] == ["CC-BY-SA-3.0"]


@pytest.mark.parametrize(("stage", "mixed"), [("tables", False), ("models", True)])
def test_card_and_crate_do_not_state_the_licence_of_the_workflow_for_works_of_others(packed, stage, mixed):
    inside = contents(packed("one.zip", stage))
    graph = {entity["@id"]: entity for entity in json.loads(inside["ro-crate-metadata.json"])["@graph"]}
    licence = graph[graph["./"]["license"]["@id"]]
    assert licence["name"] == ("several licences" if mixed else "MIT")
    assert ("This bundle holds text, code or models of others" in inside["README.md"].decode()) is mixed


def test_a_bundle_without_checksums_of_what_describes_it_still_opens(packed, tmp_path, monkeypatch):
    place = packed("bundle", "tables")
    index = json.loads((place / INDEX).read_text())
    del index["about"]
    (place / INDEX).write_text(json.dumps(index))
    monkeypatch.chdir(tmp_path)
    Bundle(place).restore("results/tables/predictors.tsv")
    assert (tmp_path / "results/tables/predictors.tsv").stat().st_size


def test_the_card_tells_what_it_is_whose_data_it_used_and_how_to_start_from_it(packed):
    with zipfile.ZipFile(packed("one.zip", "models", "tables")) as archive:
        card = archive.read("README.md").decode()
    assert "small on wiki (entmax~1.5), and token pruning of small on code; seeds 1, 2" in card
    assert "licence: CC-BY-SA-3.0" in card and "Made with commit 0123456789ab, packed with version" in card
    assert re.search(r"start_from: \{stage: tables, path: \S+\}", card)  # the stage that needs the least
    assert "not tested for any other use" in card


@pytest.mark.parametrize(
    ("code", "origin"),
    [
        ({"version": "1.2.0", "commit": "a" * 40}, f"Made with version 1.2.0 (commit {'a' * 12})."),
        ({"version": "1.1.0", "commit": None}, "Made with version 1.1.0, packed with version 1.2.0."),
        ({"commit": "a" * 40, "dirty": True}, f"Made with commit {'a' * 12} with changes, packed with version 1.2.0."),
        ({"commit": None}, "Packed with version 1.2.0."),
    ],
    ids=["same", "older", "unknown", "neither"],
)
def test_the_card_names_the_version_of_the_run_and_not_only_of_the_packing(code, origin):
    made = {"config": CONFIG, "data": [RECEIPT], "code": code}
    text = readme(made, {"title": "it", "version": "1.2.0", "license": "MIT"}, ["tables"], [])
    assert f"seeds 1, 2. {origin}\n" in text


def test_the_configuration_can_be_laid_over_the_defaults(packed):
    with zipfile.ZipFile(packed("one.zip", "tables")) as archive:
        assert yaml.safe_load(archive.read("config.yaml")) == CONFIG
        assert {"CITATION.cff", "LICENSE", "constraints.txt"} <= set(archive.namelist())


def test_an_unknown_stage_is_refused(run, tmp_path):
    allowed = "models, qk, centroids, predictors, tables, figures, exports"
    with pytest.raises(InputError, match=f"STAGES: 'tabels' is not allowed; allowed: {allowed}"):
        pack(tmp_path / "one.zip", OUTPUTS, ["tabels"], run, ROOT)
    assert not (tmp_path / "one.zip").exists()


def test_a_bundle_of_no_stage_is_refused(packed, run, tmp_path):
    earlier = packed("one.zip", "tables").read_bytes()
    with pytest.raises(InputError, match="STAGES: '' is not allowed; allowed: models, qk, "):
        pack(tmp_path / "one.zip", OUTPUTS, [], run, ROOT)
    assert (tmp_path / "one.zip").read_bytes() == earlier


@pytest.mark.parametrize("change", [{"config": None}, {"data": 5}, {"code": None}, {"config": {}}, {"data": [{}]}])
def test_a_manifest_of_another_form_is_one_line(run, tmp_path, change):
    manifest = run / "results/provenance/manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | change))
    with pytest.raises(InputError, match=r"^results/provenance/manifest\.json is damaged \(.*\); allowed: that of a"):
        pack(tmp_path / "one.zip", OUTPUTS, ["tables"], run, ROOT)
    assert not (tmp_path / "one.zip").exists()


def test_a_stage_without_results_is_refused(run, tmp_path):
    only = {path: rule for path, rule in OUTPUTS.items() if rule in ("summarise_predictors", "manifest")}
    with pytest.raises(InputError, match="this run has no results of the stage models"):
        pack(tmp_path / "one.zip", only, ["models"], run, ROOT)


def test_a_result_that_is_missing_is_named(run, tmp_path):
    (run / "results/tables/predictors.tsv").unlink()
    with pytest.raises(InputError, match=r"results/tables/predictors\.tsv: is missing; allowed: a finished run"):
        pack(tmp_path / "one.zip", OUTPUTS, ["tables"], run, ROOT)


def test_what_one_reads_first_stands_beside_a_zip_file_too(packed):
    place = packed("one.zip", "tables")
    with zipfile.ZipFile(place) as archive:
        for name in ("README.md", "config.yaml", "ro-crate-metadata.json"):
            assert place.with_name(name).read_bytes() == archive.read(name)
    assert Bundle(place.parent).place == place


def test_a_stage_brings_those_before_it(packed):
    assert Bundle(packed("one.zip", "figures", "qk")).stages == ["models", "qk", "figures"]


def test_the_configuration_does_not_say_where_the_run_itself_started_from():
    started = {"seeds": [1], "start_from": {"stage": "tables", "path": "half"}}
    assert yaml.safe_load(configuration(started)) == {"seeds": [1], "start_from": None}
