"""A job ends with its Snakemake, and does not run beside another one that writes the same files."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from sparse_attention.jobs import guard

JOB = """
import os, sys, time
from pathlib import Path
from types import SimpleNamespace
from sparse_attention.files.atomic import atomic_path
from sparse_attention.jobs import guard, script

guard.SECONDS = 0.05

def main(snakemake):
    with atomic_path("out/made.txt") as partial:
        partial.write_text("half")
        print("started", flush=True)
        sys.stdin.readline()
        partial.write_text("whole")

script.run(main, SimpleNamespace(rule="make", log=[sys.argv[1]], output=["out/made.txt"]))
"""


@pytest.fixture
def start(tmp_path):
    """Return a function that starts the job, and afterwards kill what still runs."""
    jobs = []

    def run(log, parent=0, scope=None):
        known = f"{parent} {scope or guard._scope()}" if parent else ""
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), guard.PARENT: known}
        command = [sys.executable, "-c", textwrap.dedent(JOB), log]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        jobs.append(subprocess.Popen(command, cwd=tmp_path, env=environment, text=True, **pipes))
        return jobs[-1]

    yield run
    for job in jobs:
        job.kill()
        job.communicate()


@pytest.fixture
def snakemake():
    with subprocess.Popen(["sleep", "100"]) as process:
        yield process
        process.kill()


@pytest.mark.parametrize("reaped", [True, False], ids=["gone", "zombie"])
def test_a_job_ends_when_its_snakemake_is_gone(reaped, start, snakemake, tmp_path):
    job = start("one.log", snakemake.pid)
    assert job.stdout.readline() == "started\n"
    snakemake.kill()
    if reaped:
        snakemake.wait()
    assert job.wait(20) == -signal.SIGTERM
    assert f"Snakemake (process {snakemake.pid}) is gone" in (tmp_path / "one.log").read_text()
    assert not (tmp_path / "out/made.txt").exists()


def test_a_job_whose_snakemake_lives_goes_on(start, snakemake, tmp_path):
    job = start("one.log", snakemake.pid)
    assert job.stdout.readline() == "started\n"
    time.sleep(0.5)
    job.communicate("\n", timeout=20)
    assert job.returncode == 0 and (tmp_path / "out/made.txt").read_text() == "whole"
    assert not list((tmp_path / guard.LOCKS).iterdir())


@pytest.fixture
def ended():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_job_whose_snakemake_was_gone_before_it_started_ends(start, ended):
    assert start("one.log", ended).wait(20) == -signal.SIGTERM


def test_a_snakemake_of_another_machine_or_container_is_not_looked_for(start, ended, tmp_path):
    job = start("one.log", ended, "elsewhere pid:[1]")
    assert job.stdout.readline() == "started\n"
    time.sleep(0.5)
    job.communicate("\n", timeout=20)
    assert job.returncode == 0


def test_a_job_knows_the_process_that_announced_itself(monkeypatch):
    monkeypatch.setenv(guard.PARENT, "")
    guard.announce()
    assert os.environ[guard.PARENT] == f"{os.getpid()} {guard._scope()}"


def test_a_second_job_with_the_same_outputs_waits(start, tmp_path):
    first = start("one.log")
    assert first.stdout.readline() == "started\n"
    second = start("two.log")
    waiting = f"waiting for process {first.pid} on "
    while waiting not in second.stderr.readline():
        assert second.poll() is None
    assert len(list((tmp_path / "out").iterdir())) == 1
    first.communicate("\n", timeout=20)
    assert second.stdout.readline() == "started\n"
    second.communicate("\n", timeout=20)
    assert (first.returncode, second.returncode) == (0, 0)
    assert not list((tmp_path / guard.LOCKS).iterdir())


def test_a_killed_job_blocks_nobody_and_its_half_written_file_is_removed(start, tmp_path):
    first = start("one.log")
    assert first.stdout.readline() == "started\n"
    first.kill()
    first.wait()
    assert [path.name for path in (tmp_path / "out").iterdir()] == [f".made.txt.partial-{first.pid}"]
    second = start("two.log")
    assert second.stdout.readline() == "started\n"
    second.communicate("\n", timeout=20)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["made.txt"]


def test_without_locks_of_files_the_job_runs(tmp_path, monkeypatch, caplog):
    def unsupported(*_):
        raise OSError("no locks available")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(guard.fcntl, "flock", unsupported)
    with caplog.at_level("INFO"), guard.only_writer(["made.txt"]):
        pass
    assert "no locks available" in caplog.text


def test_leftovers_of_killed_processes_are_removed(tmp_path):
    for name in (".a[1].tsv.partial-7", ".a1.tsv.partial-7", "a[1].tsv"):
        (tmp_path / name).touch()
    (tmp_path / ".a[1].tsv.partial-8-old").mkdir()
    guard.clear_partials(tmp_path / "a[1].tsv")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".a1.tsv.partial-7", "a[1].tsv"]
