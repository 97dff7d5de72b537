from __future__ import annotations

import json
import os
import re
import shutil

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


def write_record(folder, host, pid, start):
    records = folder / lock.RECORDS
    records.mkdir(parents=True)
    record = {"pid": pid, "started": start[0], "uptime": start[1], "host": host}
    (records / f"{host}-{pid}.json").write_text(json.dumps(record))


def lock_folder(folder):
    (folder / lock.LOCKS).mkdir(parents=True)
    (folder / lock.LOCKS / "0.input.lock").write_text("a\n")


@pytest.mark.parametrize("active", [".", "demo", "reference", "from-archive"], ids=["run", "demo", "study", "archive"])
def test_an_active_run_keeps_its_files(folder, active):
    write_record(folder / active, lock._host(), os.getpid(), lock._start_of(os.getpid()))
    with pytest.raises(InputError, match=f"{re.escape(active)}: another run is active .* process {os.getpid()}"):
        clean.delete(["qk"])
    assert (folder / "results/qk/a").exists()


def test_a_run_on_another_machine_that_may_be_active_keeps_its_files(folder):
    write_record(folder, "node17", 1, (1.0, 1.0))
    lock_folder(folder)
    with pytest.raises(InputError, match="cannot be checked from here: process 1 on node17"):
        clean.delete(["qk"])
    assert (folder / "results/qk/a").exists()


def test_jobs_that_outlive_their_run_keep_their_files(folder, monkeypatch):
    (folder / ".snakemake").mkdir()
    monkeypatch.setattr(lock, "PATIENCE", 0)
    monkeypatch.setattr(lock, "working_scripts", lambda place: [12] if str(place) == "." else [])
    with pytest.raises(InputError, match="jobs of an interrupted run are still active; .*kill 12"):
        clean.delete(["qk"])
    assert (folder / "results/qk/a").exists()


def test_a_run_that_ended_keeps_nothing(folder):
    write_record(folder, lock._host(), os.getpid(), (1.0, 1.0))
    lock_folder(folder)
    assert clean.delete(["qk"]) == "deleted results/qk: 2 kB"
    # a later run may start
    assert lock.owner(folder) is None and not lock.is_locked(folder)


@pytest.mark.parametrize("name", ["demo", "qk"])
def test_nothing_is_held_once_stages_are_deleted(folder, name):
    (folder / "demo/.snakemake").mkdir(parents=True)
    assert clean.delete([name]).startswith("deleted ")
    assert not [path for path in lock._holding if path.is_relative_to(folder)]


def test_what_was_deleted_is_told_when_something_cannot_be(folder, monkeypatch):
    remove = shutil.rmtree

    def refuse(path):
        if path.name == "tables":
            raise PermissionError(1, "Operation not permitted", "a.tsv")
        remove(path)

    monkeypatch.setattr(clean.shutil, "rmtree", refuse)
    with pytest.raises(InputError) as error:
        clean.delete(["qk", "tables", "resources"])
    assert str(error.value).splitlines() == [
        "deleted results/qk: 2 kB",
        "results/tables: a.tsv cannot be deleted: Operation not permitted; allowed: files that you may delete",
    ]
    assert (folder / "resources/b").exists()
