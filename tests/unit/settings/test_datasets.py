from __future__ import annotations

import copy
from pathlib import Path

import pytest
import yaml

from sparse_attention.errors import InputError
from sparse_attention.settings.datasets import load_registry
from sparse_attention.settings.origins import Origins

SHIPPED = Path(__file__).parents[3] / "config" / "datasets.yaml"
GOOD = {
    "kind": "text",
    "version": "1",
    "source": {"type": "url", "url": "https://example.org/a"},
    "files": [{"path": "b.txt", "sha256": "0" * 64}],
}


def write(folder: Path, entries: object) -> Path:
    file = folder / "datasets.yaml"
    file.write_text(yaml.safe_dump(entries), encoding="utf-8")
    return file


def changed(**changes: object) -> dict:
    return {**copy.deepcopy(GOOD), **changes}


def test_the_registry_of_the_workflow_is_valid_and_pinned():
    registry = load_registry(SHIPPED)
    assert {"enwiki-2016-excerpt", "all-minilm-l6-v2", "wikitext-103-raw", "roberta-base"} <= set(registry)
    for entry in registry.values():
        assert entry["licence"] and entry["citation"]
        if entry["source"]["type"] in ("wheel", "wheels", "apt"):
            assert all(file["sha256"] and file["size"] for file in entry["files"])
        elif entry["source"]["type"] == "hub":
            # no commit of devign is known; the receipt tells which one was fetched
            assert len(entry["source"]["revision"]) == 40 or entry is registry["devign"]


def test_own_entries_are_added_and_replace_others(tmp_path):
    registry = load_registry(write(tmp_path, {"a": GOOD}), {"a": changed(version="2"), "b": GOOD})
    assert registry["a"]["version"] == "2" and set(registry) == {"a", "b"}


@pytest.mark.parametrize(
    ("entry", "messages"),
    [
        (changed(kind="corpus"), ["a.kind: 'corpus' is not allowed; allowed: text | model | code"]),
        (changed(colour="red"), ["a.colour: no such key"]),
        (
            changed(source={"type": "ftp"}),
            ["a.source.type: 'ftp' is not allowed; allowed: wheel, wheels, apt, hub, osf, zenodo, url, path"],
        ),
        (
            changed(source={"type": "whel"}),
            ["a.source.type: 'whel' is not allowed; did you mean wheel? allowed"],
        ),
        (changed(source={"url": "https://x"}), ["a.source.type: is missing; allowed: wheel, wheels, apt, hub"]),
        (changed(source="https://x"), ["a.source: 'https://x' is not allowed; allowed: a mapping with type, package"]),
        (changed(source={"type": "url", "url": "file:///x"}), ["a.source.url: 'file:///x'", "starts with https://"]),
        (changed(source={"type": "hub", "repo": "a/b"}), ["a.source.revision: is missing"]),
        (
            changed(files=[{"path": "b", "size": "1e3"}]),
            ["a.files[0].size: '1e3'", "reads it as text, write 1000;"],
        ),
        (changed(files=[{"path": "b", "size": float("inf")}]), ["a.files[0].size: .inf", "not a finite number"]),
        (changed(version=2016), ["a.version: 2016 is not allowed", "write '2016' in quotes"]),
        (changed(version="1/2"), ["a.version: '1/2' is not allowed; allowed: a text of at most 100 letters"]),
        (changed(files=[{"path": "x/b"}, {"path": "y/b"}]), ["a.files: two files would be called 'b'"]),
        (changed(files=[{"path": "b", "name": "../b"}]), ["a.files: '../b' is outside of the data set's folder"]),
        (
            changed(source={"type": "wheel", "package": "p", "version": "1"}, files=[{"path": "b"}]),
            ["a.files[0].sha256: is missing"],
        ),
        (
            changed(source={"type": "apt", "suite": "bookworm", "packages": ["tiff=4.5.0-6"]}, files=[{"path": "b"}]),
            ["a.files[0].sha256: is missing"],
        ),
        (
            changed(source={"type": "apt", "suite": "bookworm", "packages": ["tiff"]}),
            ["a.source.packages[0]: 'tiff'", "a source package with its version"],
        ),
        (changed(source={"type": "apt", "packages": ["tiff=4"]}), ["a.source.suite: is missing"]),
        (changed(kind="x", version=""), ["a.kind", "a.version"]),
    ],
    ids=lambda value: None if isinstance(value, dict) else value[0][:30],
)
def test_every_problem_is_named(tmp_path, entry, messages):
    with pytest.raises(InputError) as error:
        load_registry(write(tmp_path, {"a": entry}))
    assert all(message in str(error.value) for message in messages)
    with pytest.raises(InputError, match=r"datasets\.a"):
        load_registry(write(tmp_path, {}), {"a": entry})


def test_a_file_that_is_not_yaml_is_refused(tmp_path):
    file = tmp_path / "datasets.yaml"
    file.write_text("a: [", encoding="utf-8")
    with pytest.raises(InputError, match=r"datasets\.yaml, line 1: not YAML"):
        load_registry(file)
    with pytest.raises(InputError, match="no such file"):
        load_registry(tmp_path / "none.yaml")


def test_an_entry_that_appears_twice_is_refused(tmp_path):
    file = tmp_path / "datasets.yaml"
    file.write_text("a: {kind: text}\nb: {kind: text}\na: {kind: code}\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"datasets\.yaml, lines 1 and 3: a: appears twice"):
        load_registry(file)


def test_the_error_for_an_own_entry_names_its_file(tmp_path):
    origins = Origins(("config.yaml", {"datasets": {}}), [("mine.yaml", {"datasets": {"a": {"version": 1}}})])
    with pytest.raises(InputError) as caught:
        load_registry(write(tmp_path, {}), {"a": {"version": 1}}, origins)
    lines = str(caught.value).splitlines()
    assert "  mine.yaml: datasets.a.kind: is missing" in lines
    assert any(line.startswith("  mine.yaml: datasets.a.version: 1 is not allowed") for line in lines)
