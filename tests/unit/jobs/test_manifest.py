"""The manifest describes the run and does not name its user."""

import getpass
import hashlib
import json
import os
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

from sparse_attention.errors import InputError
from sparse_attention.jobs import manifest as manifest


@pytest.mark.parametrize(
    "value, expected",
    [
        ("/home/somebody/data/wiki.xml", ".../wiki.xml"),
        ("~/models/bert/", ".../bert"),
        ("C:\\Users\\somebody\\dump.pt", ".../dump.pt"),
        ("file:///home/somebody/dump.pt", ".../dump.pt"),
        (Path("/srv/x"), ".../x"),
        ("data/wiki.xml", "data/wiki.xml"),
        ("https://example.org/a/b", "https://example.org/a/b"),
        ({"a": ["/x/y", 3, None]}, {"a": [".../y", 3, None]}),
    ],
    ids=str,
)
def test_absolute_paths_are_cut_to_their_last_part(value, expected):
    assert manifest.portable(value) == expected


def test_the_manifest_does_not_name_the_user(fabricate, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table = Path("results/tables/corpus.tsv")
    table.parent.mkdir(parents=True)
    table.write_text("split\n")
    kernel = Path("results/models/kernel.json")
    kernel.parent.mkdir()
    kernel.write_text('{"kernel": "cpu", "compiler": "g++ 12"}')
    config = {"seeds": [1, 2], "models": {"mine": {"path": str(tmp_path / "mine")}}}
    built = manifest.build(config, [fabricate.receipt(tmp_path)], [str(kernel)], [str(table)])
    text = json.dumps(built)
    assert "/home/" not in text and str(tmp_path) not in text and str(Path.home()) + "/" not in text
    assert os.uname().nodename not in text
    if getpass.getuser() not in ("root", "user"):
        assert getpass.getuser() not in text
    assert built["seeds"] == [1, 2] and built["config"]["models"]["mine"]["path"] == ".../mine"
    assert built["tables"] == [{"path": "results/tables/corpus.tsv", "sha256": hashlib.sha256(b"split\n").hexdigest()}]
    assert built["kernels"] == [{"path": "results/models/kernel.json", "kernel": "cpu", "compiler": "g++ 12"}]
    assert built["data"][0]["citation"] == "Wikipedia contributors <2016>" and "root" not in built["data"][0]
    assert built["data"][0]["receipt"] == "resources/wiki/2016/receipt.json"
    assert built["packages"]["numpy"] == metadata.version("numpy")
    assert built["hardware"]["cores"] >= 1


def test_the_manifest_has_the_commit_and_whether_there_are_changes(tmp_path):
    def git(*arguments):
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        subprocess.run(["git", "-C", tmp_path, *identity, *arguments], check=True, capture_output=True)

    git("init")
    assert manifest.code_state(tmp_path) == {"commit": None, "dirty": False}
    (tmp_path / "file").write_text("one")
    git("add", "file")
    git("commit", "--message", "first")
    clean = manifest.code_state(tmp_path)
    assert len(clean["commit"]) == 40 and clean["dirty"] is False
    (tmp_path / "file").write_text("two")
    assert manifest.code_state(tmp_path) == {"commit": clean["commit"], "dirty": True}
    (tmp_path / "inside").mkdir()
    assert manifest.code_state(tmp_path / "inside") == {"commit": None, "dirty": None}


def test_the_manifest_has_the_version_of_the_workflow_that_made_the_run(tmp_path):
    project = tomllib.loads((manifest.REPOSITORY / "pyproject.toml").read_text())["project"]
    assert manifest.build({}, [], [], [])["code"]["version"] == project["version"]
    assert manifest.version_of(tmp_path) is None
    for text in ("[project]\n", "[project\n"):
        (tmp_path / "pyproject.toml").write_text(text)
        assert manifest.version_of(tmp_path) is None


def test_a_damaged_receipt_is_named(tmp_path):
    path = tmp_path / "receipt.json"
    path.write_text("{")
    with pytest.raises(InputError, match=r"receipt\.json: not valid JSON .*; delete it and retrieve again"):
        manifest.build({}, [str(path)], [], [])


def test_a_package_in_two_folders_has_the_version_of_the_first(tmp_path, monkeypatch):
    for folder, version in (("environment", "2.0"), ("snakemake", "1.0")):
        found = tmp_path / folder / f"thing-{version}.dist-info"
        found.mkdir(parents=True)
        (found / "METADATA").write_text(f"Metadata-Version: 2.1\nName: thing\nVersion: {version}\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "environment"), str(tmp_path / "snakemake")])
    assert manifest.packages() == {"thing": "2.0"}
