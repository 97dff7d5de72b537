"""The line on the progress of a run, between what real Snakemake processes say."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
SNAKEFILE = f"""
import sys
sys.path[:0] = [{str(ROOT / "workflow/scripts")!r}, {str(ROOT / "tests/helpers")!r}]
from plans import plan
from sparse_attention.settings import time_left

onstart:
    time_left.follow(logger, workflow, plan())

rule all:
    input: "second.txt"

rule train_mlm:
    output: "first.txt"
    benchmark: "results/benchmarks/train_mlm/seed~1.tsv"
    shell: "touch {{output}}"

rule summarise:
    input: rules.train_mlm.output
    output: "second.txt"
    benchmark: "results/benchmarks/summarise/a.tsv"
    shell: "$(cat command.txt) {{output}}"
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    (tmp_path / "command.txt").write_text("touch")
    return tmp_path


def run(folder, *arguments):
    command = [sys.executable, str(ROOT / "tools/run.py"), "--cores", "2", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120)


def seconds_of(benchmark, seconds):
    return re.sub(r"(?<=\n)[\d.]+", str(seconds), benchmark.read_text(), count=1)


def test_it_follows_each_job_and_snakemake_says_all_that_it_says_without_it(folder):
    done = run(folder)
    assert done.returncode == 0, done.stderr
    lines = done.stderr.splitlines()
    progress = [index for index, line in enumerate(lines) if line.startswith("Progress: ")]
    assert [lines[index].split(" left")[0].split(" jobs")[0] for index in progress] == [
        "Progress: 0 of 3", "Progress: 1 of 3", "Progress: 2 of 3",
    ]  # fmt: skip
    assert [lines[index - 1] for index in progress[1:]] == ["1 of 3 steps (33%) done", "2 of 3 steps (67%) done"]
    assert "3 of 3 steps (100%) done" in lines
    (log,) = folder.glob(".snakemake/log/*")
    assert log.read_text().count("Progress: ") == len(progress)

    without = folder / "without"
    without.mkdir()
    (without / "Snakefile").write_text(SNAKEFILE.replace("time_left.follow(logger, workflow, plan())", "pass"))
    (without / "command.txt").write_text("touch")
    assert words(run(without).stderr) == words(done.stderr)


def words(output):
    """Return the lines that Snakemake wrote, without our own and those with times and folders."""
    changing = ("Progress: ", "[", "  ", "Complete log", "Elapsed")
    return sorted(line for line in output.splitlines() if not line.startswith(changing))


def test_the_times_of_an_earlier_run_are_used(folder):
    assert run(folder).returncode == 0
    for name, seconds in (("train_mlm/seed~1.tsv", 3600), ("summarise/a.tsv", 400)):
        benchmark = folder / "results/benchmarks" / name
        benchmark.write_text(seconds_of(benchmark, seconds))
    again = run(folder, "--forceall")
    assert "Progress: 0 of 3 jobs, 0 % of the work, about 67 minutes left" in again.stderr
    assert "Progress: 1 of 3 jobs, 90 % of the work, less than a minute left" in again.stderr


@pytest.mark.parametrize("arguments", [["--quiet", "progress"], ["--dry-run"]], ids=["quiet", "dry-run"])
def test_it_is_silent_where_snakemake_is(folder, arguments):
    done = run(folder, *arguments)
    assert done.returncode == 0 and "1 of 3 steps" not in done.stderr
    assert "Progress: " not in done.stderr


def test_a_job_that_fails_ends_the_run_as_ever(folder):
    (folder / "command.txt").write_text("false")
    done = run(folder)
    assert done.returncode == 1 and "Error in rule summarise" in done.stderr
    assert done.stderr.count("Progress: ") == 2
