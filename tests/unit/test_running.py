from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from sparse_attention import running


@pytest.fixture
def folder(tmp_path):
    (tmp_path / running.LOCKS).mkdir(parents=True)
    return tmp_path


def write_record(folder, pid, started, host):
    path = folder / running.RECORDS / f"{host}-{pid}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"pid": pid, "started": started, "host": host}))
    return path


def lock(folder):
    (folder / running.LOCKS / "0.input.lock").write_text("a\n")


def ended_process():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_folder_without_runs_has_no_owner(tmp_path):
    assert running.owner(tmp_path) is None
    assert not running.is_locked(tmp_path)


def test_own_process_is_alive_until_it_ends(folder):
    running.record_start(folder)
    owner = running.owner(folder)
    assert (owner.pid, owner.state) == (os.getpid(), "alive")
    running.record_end(folder)
    assert running.owner(folder) is None


def test_ended_process_is_dead(folder):
    write_record(folder, ended_process(), running._started(os.getpid()), running._host())
    assert running.owner(folder).state == "dead"


def test_zombie_is_dead(folder):
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    write_record(folder, process.pid, running._started(process.pid), running._host())
    assert running.owner(folder).state == "alive"
    process.stdin.close()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert running.owner(folder).state == "dead"
    process.wait()


def test_same_id_with_another_start_is_dead(folder):
    write_record(folder, os.getpid(), "an earlier boot 12345", running._host())
    assert running.owner(folder).state == "dead"


def test_record_without_a_start_is_never_alive(folder):
    write_record(folder, os.getpid(), "", running._host())
    assert running.owner(folder).state == "dead"


def test_process_of_another_machine_is_unknown(folder):
    write_record(folder, os.getpid(), running._started(os.getpid()), "elsewhere")
    assert running.owner(folder).state == "unknown"


def test_live_run_counts_before_unknown_before_dead(folder):
    write_record(folder, ended_process(), "gone", running._host())
    write_record(folder, 1, "x", "elsewhere")
    assert running.owner(folder).state == "unknown"
    lock(folder)
    running.record_start(folder)
    assert running.owner(folder).state == "alive"


def test_dead_records_stay_while_a_lock_may_be_theirs(folder):
    dead = write_record(folder, ended_process(), "gone", running._host())
    lock(folder)
    running.record_start(folder)
    assert dead.exists()
    (folder / running.LOCKS / "0.input.lock").unlink()
    running.record_start(folder)
    assert not dead.exists()
    assert running.owner(folder).pid == os.getpid()


def test_end_leaves_the_records_of_others(folder):
    other = write_record(folder, 1, "x", "elsewhere")
    running.record_start(folder)
    running.record_end(folder)
    assert other.exists()


def test_start_tells_processes_apart_without_proc(monkeypatch):
    """The way taken on machines without /proc."""
    real = running.Path.exists
    monkeypatch.setattr(running.Path, "exists", lambda path: str(path) != "/proc/self/stat" and real(path))
    assert running._started(os.getpid())
    assert running._started(ended_process()) is None
