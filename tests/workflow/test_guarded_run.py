"""The guarded start on a workflow of one rule, with real Snakemake processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sparse_attention.jobs import lock

pytestmark = pytest.mark.slow
RUN = Path(__file__).parents[2] / "tools" / "run.py"
LIBRARY = Path(__file__).parents[2] / "workflow" / "scripts"
CLAIM = f"""
import sys
sys.path.insert(0, {str(LIBRARY)!r})
from sparse_attention.jobs import guard, lock
guard.announce()
if workflow.is_main_process and (reason := lock.claim(sys.argv[1:])):
    sys.exit(reason)
"""
SNAKEFILE = f"""{CLAIM}
rule make:
    output: "made.txt"
    shell: "sleep $(cat seconds.txt) && touch {{output}}"
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    (tmp_path / "seconds.txt").write_text("0")
    return tmp_path


def command(*arguments):
    return [sys.executable, str(RUN), "--cores", "1", "--rerun-incomplete", *arguments]


def run(folder, *arguments):
    return subprocess.run(command(*arguments), cwd=folder, capture_output=True, text=True, check=False, timeout=120)


def start_and_wait_for_lock(folder):
    (folder / "seconds.txt").write_text("100")
    process = subprocess.Popen(
        command(), cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    for _ in range(600):
        if list(folder.glob(".snakemake/log/*")) and lock.is_locked(folder):
            return process
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGKILL)
    raise AssertionError("the run took no lock")


def test_killed_run_is_unlocked_and_live_run_is_not(folder):
    process = start_and_wait_for_lock(folder)
    try:
        beside = run(folder)
        assert beside.returncode == 1
        assert f"another run is active in this folder: process {process.pid}" in beside.stderr
        assert lock.is_locked(folder)
        assert run(folder, "--dry-run").returncode == 0
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert lock.is_locked(folder)
    (folder / "seconds.txt").write_text("0")
    again = run(folder)
    assert again.returncode == 0, again.stderr
    assert "was interrupted; removing its lock" in again.stderr
    assert (folder / "made.txt").exists()
    assert not lock.is_locked(folder)


def test_jobs_that_outlive_a_killed_run_are_waited_for(folder):
    (folder / "Snakefile").write_text(f'{CLAIM}\nrule make:\n    output: "made.txt"\n    script: "make.py"\n')
    (folder / "make.py").write_text(
        "import time\nopen('started.txt', 'w').close()\nopen(snakemake.output[0], 'w').close()\n"
        "time.sleep(float(open('seconds.txt').read()))\n"
    )
    process = start_and_wait_for_lock(folder)
    try:
        while not (folder / "started.txt").exists():
            time.sleep(0.1)
        process.kill()
        process.wait()
        (job,) = lock.working_scripts(folder)
        beside = run(folder)
        assert beside.returncode == 1
        assert f"end them with `kill {job}`" in beside.stderr
        assert lock.is_locked(folder)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
    while lock.working_scripts(folder):
        time.sleep(0.1)
    (folder / "seconds.txt").write_text("0")
    assert run(folder).returncode == 0


@pytest.mark.parametrize("recorded", [False, True], ids=["no-record", "other-host"])
def test_lock_of_an_unknown_run_is_left_alone(folder, recorded):
    locked = folder / lock.LOCKS / "0.output.lock"
    locked.parent.mkdir(parents=True)
    locked.write_text("made.txt\n")
    if recorded:
        record = folder / lock.RECORDS / "elsewhere-1.json"
        record.parent.mkdir(parents=True)
        record.write_text('{"pid": 1, "started": 1, "uptime": 1, "host": "elsewhere"}')
    refused = run(folder)
    assert refused.returncode == 1
    assert ("process 1 on elsewhere" if recorded else "left no record") in refused.stderr
    assert "snakemake --unlock" in refused.stderr
    assert locked.exists()
    assert not (folder / "made.txt").exists()


def test_exit_code_and_arguments_are_those_of_snakemake(folder):
    assert run(folder, "--no-such-option").returncode == 2
    assert run(folder).returncode == 0
    assert lock.owner(folder).state == "dead"
    assert "Nothing to be done" in run(folder).stderr
