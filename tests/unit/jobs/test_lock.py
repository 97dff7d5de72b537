from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from sparse_attention.jobs import lock


@pytest.fixture
def folder(tmp_path):
    (tmp_path / lock.LOCKS).mkdir(parents=True)
    return tmp_path


LONG_AGO = (1.0, 1.0)


def write_record(folder, pid, start, host):
    path = folder / lock.RECORDS / f"{host}-{pid}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"pid": pid, "started": start[0], "uptime": start[1], "host": host}))
    return path


def lock_folder(folder):
    (folder / lock.LOCKS / "0.input.lock").write_text("a\n")


def ended_process():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_folder_without_runs_has_no_owner(tmp_path):
    assert lock.owner(tmp_path) is None
    assert not lock.is_locked(tmp_path)


def test_own_process_is_alive_until_it_ends(folder):
    assert lock.claim([], folder) is None
    owner = lock.owner(folder)
    assert (owner.pid, owner.state) == (os.getpid(), "alive")
    lock.record_end(folder)
    assert lock.owner(folder) is None


def test_ended_process_is_dead(folder):
    write_record(folder, ended_process(), lock._start_of(os.getpid()), lock._host())
    assert lock.owner(folder).state == "dead"


def test_zombie_is_dead(folder):
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    write_record(folder, process.pid, lock._start_of(process.pid), lock._host())
    assert lock.owner(folder).state == "alive"
    process.stdin.close()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert lock.owner(folder).state == "dead"
    process.wait()


def test_same_id_with_another_start_is_dead(folder):
    write_record(folder, os.getpid(), LONG_AGO, lock._host())
    assert lock.owner(folder).state == "dead"


@pytest.mark.parametrize("moved", [0, 1], ids=["time of day", "time since the start"])
def test_a_run_is_alive_though_the_clock_was_set(folder, moved):
    start = list(lock._start_of(os.getpid()))
    start[moved] += 3600
    write_record(folder, os.getpid(), start, lock._host())
    assert lock.owner(folder).state == "alive"


def test_process_of_another_machine_is_unknown(folder):
    write_record(folder, os.getpid(), lock._start_of(os.getpid()), "elsewhere")
    assert lock.owner(folder).state == "unknown"


def test_the_owner_is_alive_else_unknown_else_dead(folder):
    write_record(folder, ended_process(), LONG_AGO, lock._host())
    write_record(folder, 1, LONG_AGO, "elsewhere")
    assert lock.owner(folder).state == "unknown"
    write_record(folder, os.getpid(), lock._start_of(os.getpid()), lock._host())
    assert lock.owner(folder).state == "alive"


def test_the_lock_and_the_record_of_a_dead_run_are_removed(folder, capsys):
    dead = write_record(folder, ended_process(), LONG_AGO, lock._host())
    lock_folder(folder)
    assert lock.claim([], folder) is None
    assert "was interrupted; removing its lock" in capsys.readouterr().err
    assert not lock.is_locked(folder) and not dead.exists()
    assert lock.owner(folder).pid == os.getpid()


def test_a_second_claim_of_one_process_keeps_its_own_lock(folder):
    assert lock.claim([], folder) is None
    lock_folder(folder)
    assert lock.claim([], folder) is None
    assert lock.is_locked(folder)


@pytest.fixture
def beside(folder):
    """A process that holds the folder until its input ends."""
    code = f"from sparse_attention.jobs import lock; print(lock.claim([], {str(folder)!r}), flush=True); input()"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout.readline() == "None\n"
        yield process
        process.kill()


def test_a_folder_in_use_is_refused_in_one_line_that_names_the_process(folder, beside):
    reason = lock.claim([], folder)
    assert f"another run is active in this folder: process {beside.pid}." in reason and "\n" not in reason
    assert lock.claim(["--unlock"], folder) == reason


def test_a_run_without_a_record_yet_is_noticed(folder, beside):
    for record in (folder / lock.RECORDS).glob("*.json"):
        record.unlink()
    assert "another run is starting in this folder" in lock.claim([], folder)


def test_the_folder_of_a_killed_run_is_free(folder, beside):
    beside.kill()
    beside.wait()
    assert lock.claim([], folder) is None


@pytest.mark.parametrize(
    "arguments",
    [["-n"], ["--dry-run"], ["-np"], ["-nc1"], ["-nj4"], ["--report=x.html"], ["--nolock"]],
    ids=lambda value: value[0],
)
def test_what_runs_no_job_claims_nothing(folder, beside, arguments):
    assert lock.claim(["--cores", "1", *arguments], folder) is None


def test_without_locks_of_files_the_records_decide(folder, beside, monkeypatch):
    def unsupported(*_):
        raise OSError("no locks available")

    monkeypatch.setattr(lock.fcntl, "flock", unsupported)
    assert f"process {beside.pid}" in lock.claim([], folder)
    beside.kill()
    beside.wait()
    assert lock.claim([], folder) is None


def test_end_leaves_the_records_of_others(folder):
    lock.claim([], folder)
    other = write_record(folder, 1, LONG_AGO, "elsewhere")
    lock.record_end(folder)
    assert other.exists()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"pid": 1, "started": "boot 12", "host": "here"}',
        '{"pid": 1, "started": "a", "uptime": 1, "host": ""}',
    ],
    ids=["empty", "list", "another version", "text for a number"],
)
def test_an_unreadable_record_is_ignored(folder, text):
    write_record(folder, 1, LONG_AGO, "here").write_text(text)
    assert lock.owner(folder) is None


def test_a_record_that_vanishes_or_is_no_file_is_ignored(folder):
    records = folder / lock.RECORDS
    (records / "folder.json").mkdir(parents=True)
    (records / "gone.json").symlink_to(records / "removed meanwhile")
    assert lock.owner(folder) is None


@pytest.mark.parametrize("pid", [-1, float("inf")])
def test_an_impossible_process_is_no_live_run(folder, pid):
    write_record(folder, pid, LONG_AGO, lock._host())
    run = lock.owner(folder)
    assert run is None or run.state == "dead"


def test_the_record_of_another_machine_is_forgotten_when_the_folder_is_free(folder):
    elsewhere = write_record(folder, 7, LONG_AGO, "elsewhere")
    lock_folder(folder)
    assert "process 7 on elsewhere" in lock.claim([], folder)
    # what --unlock does
    (folder / lock.LOCKS / "0.input.lock").unlink()
    lock._holding.clear()
    assert lock.claim([], folder) is None
    assert not elsewhere.exists()


def test_jobs_are_seen_through_a_link(tmp_path):
    scratch = tmp_path / "scratch"
    (scratch / "scripts").mkdir(parents=True)
    (tmp_path / ".snakemake").symlink_to(scratch)
    script = tmp_path / lock.SCRIPTS / "tmp1.train.py"
    script.write_text("input()")
    with subprocess.Popen([sys.executable, str(script)], stdin=subprocess.PIPE) as process:
        assert lock.working_scripts(tmp_path) == [process.pid]
        process.kill()
