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
    lock.record_start(folder)
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
    lock_folder(folder)
    lock.record_start(folder)
    assert lock.owner(folder).state == "alive"


def test_records_of_dead_runs_stay_while_there_is_a_lock(folder):
    dead = write_record(folder, ended_process(), LONG_AGO, lock._host())
    lock_folder(folder)
    lock.record_start(folder)
    assert dead.exists()
    (folder / lock.LOCKS / "0.input.lock").unlink()
    lock.record_start(folder)
    assert not dead.exists()
    assert lock.owner(folder).pid == os.getpid()


def test_end_leaves_the_records_of_others(folder):
    other = write_record(folder, 1, LONG_AGO, "elsewhere")
    lock.record_start(folder)
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
