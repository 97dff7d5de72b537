from __future__ import annotations

import re

import pytest

import clean
from sparse_attention.errors import InputError
from sparse_attention.jobs import lock


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, number in (("results/qk/a/layer~0.safetensors", 2000), ("results/tables/a.tsv", 10), ("resources/b", 5)):
        path = tmp_path / name
        path.parent.mkdir(parents=True)
        path.write_bytes(bytes(number))
    (tmp_path / "results/README.md").write_text("kept\n")
    return tmp_path


def test_stages_are_listed_with_their_sizes(folder):
    lines = clean.listing().splitlines()
    assert [line.split()[:3] for line in lines[:4]] == [
        ["2", "kB", "qk"],
        ["10", "bytes", "tables"],
        ["5", "bytes", "resources"],
        ["5", "bytes", "(files"],
    ]
    assert lines[4].split()[:2] == ["2.02", "kB"]


@pytest.mark.parametrize("name", ["demo", "reference", "from-archive"])
def test_the_folder_of_another_run_is_a_stage_and_shares_its_downloads(folder, name):
    made = folder / name / "results/qk/a"
    made.mkdir(parents=True)
    (made / "b").write_bytes(bytes(3000))
    (folder / name / "resources").symlink_to("../resources")
    assert clean.listing().splitlines()[0].split() == ["3", "kB", name]
    assert clean.delete([name]) == f"deleted {name}: 3 kB"
    assert (folder / "resources/b").exists() and not (folder / name).exists()


def test_every_folder_in_which_the_makefile_runs_the_workflow_is_known():
    makefile = (clean.ROOT / "Makefile").read_text()
    variables = dict(re.findall(r"^(\w+) [:?]= (\S+)$", makefile, re.MULTILINE))
    folders = re.findall(r"--directory (?:\$\((\w+)\)|(\S+))", makefile)
    assert {variables[name] if name else plain for name, plain in folders} == {str(path) for path in clean.RUNS}


def test_named_stages_are_deleted_and_nothing_else(folder):
    assert clean.delete(["qk", "resources", "qk"]) == "deleted results/qk: 2 kB\ndeleted resources: 5 bytes"
    assert sorted(path.name for path in folder.rglob("*")) == ["README.md", "a.tsv", "results", "tables"]


@pytest.mark.parametrize("name", ["qq", "..", "README.md", "../results", "tables/a.tsv", ""])
def test_a_wrong_name_deletes_nothing(folder, name):
    with pytest.raises(InputError, match="is not allowed; allowed: qk, tables, resources"):
        clean.delete(["qk", name])
    assert (folder / "results/qk/a").exists()


def test_what_a_link_points_to_is_kept(folder):
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "large").write_bytes(bytes(100))
    (folder / "results/gold").symlink_to(elsewhere)
    assert "gold" not in clean.stages()
    (folder / "results/qk/link").symlink_to(elsewhere)
    clean.delete(["qk"])
    assert (elsewhere / "large").exists()


@pytest.mark.parametrize("active", [".", "demo", "reference", "from-archive"], ids=["run", "demo", "study", "archive"])
def test_an_active_run_keeps_its_files(folder, active, monkeypatch):
    run = lock.Run(1, 0.0, 0.0, "here")
    monkeypatch.setattr(lock.Run, "state", "alive")
    monkeypatch.setattr(clean, "owner", lambda place: run if str(place) == active else None)
    with pytest.raises(InputError, match=f"a run is active in {active}: process 1"):
        clean.delete(["qk"])
    assert (folder / "results/qk/a").exists()
