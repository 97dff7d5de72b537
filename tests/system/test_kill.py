"""Runs that are killed at random moments, stopped by a time limit or by a full disk give the same tables in the end."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time

import pytest

from killing import RESUME, EndedRuns

KILLS = int(os.environ.get("KILLS", 20))
SEED = int(os.environ.get("KILL_SEED", random.randrange(10**6)))
START = 8.0
"""About how many seconds pass before the first job of a run starts."""


@pytest.fixture
def runs(checkout, finished):
    return EndedRuns(checkout, finished)


def test_kills_at_random_moments(runs):
    """The moments are spread over the jobs; two of them, on average, fall before the first job of a run."""
    print(f"KILL_SEED={SEED} KILLS={KILLS}")
    rng = random.Random(SEED)
    runs.end(runs.start_until(lambda _: runs.total))
    positions = sorted(rng.randrange(runs.total - 8) for _ in range(KILLS - 1))
    for number, position in enumerate(positions, start=2):
        waited = runs.jobs < position
        process = runs.start_until(lambda _, position=position: runs.jobs >= position)
        delay = rng.uniform(0, 1.5 if waited else START)
        time.sleep(delay)
        print(f"kill {number} after {runs.jobs} of {runs.total} jobs and {delay:.2f} s")
        assert process.poll() is None, runs.tail()
        runs.end(process)
    runs.finish()


def test_trainings_are_killed_and_resumed(runs):
    """Every training of the run is killed once, after its first resume point."""
    killed = set()

    def new_training(_):
        return {state.parent.parent for state in runs.folder.glob(RESUME)} - killed or runs.jobs >= runs.total > 0

    while runs.jobs < runs.total or not runs.total:
        process = runs.start_until(new_training)
        if runs.jobs >= runs.total:
            break
        killed |= {state.parent.parent for state in runs.folder.glob(RESUME)}
        runs.end(process)
    process.wait()
    runs.finish()
    assert len(killed) > 3


def test_a_time_limit_ends_a_training_with_a_resume_point(runs):
    """SIGTERM to the whole process group, as schedulers and `timeout` send it."""
    process = runs.start_until(lambda _: list(runs.folder.glob(RESUME)))
    runs.end(process, signal.SIGTERM)
    assert process.returncode == 1
    assert "SIGTERM: saving a resume point after this step" in runs.tail()
    runs.finish()


@pytest.fixture
def small_disk(checkout):
    """Mount a small file system on results/; return a function that gives it another size."""
    results = checkout.folder / "results"
    results.mkdir(exist_ok=True)
    size = "size=3m"
    if os.geteuid() or not shutil.which("mount"):
        pytest.skip("only root can mount a small file system")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", results], capture_output=True).returncode:
        pytest.skip("this machine lets nobody mount a file system")
    yield lambda size: subprocess.run(["mount", "-o", f"remount,size={size}", results], check=True)
    subprocess.run(["umount", "--lazy", results], check=True)


def test_a_full_disk_stops_the_run_and_room_lets_it_go_on(small_disk, runs):
    process = runs.start()
    assert process.wait() == 1
    assert "the disk is full" in runs.tail()
    runs.check()
    small_disk("500m")
    runs.finish()
