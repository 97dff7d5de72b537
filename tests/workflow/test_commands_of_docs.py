"""The commands of the documents are run, in a copy of the repository.

Runs of the workflow are dry runs. Tools that show something show it; the arguments of all others are read, and no more.
What cannot be run here is listed with the reason.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import re
import runpy
import shlex
import subprocess
import sys

import pytest

from documented import ROOT, distinct_commands
from sparse_attention.archiving.bundle import Bundle

NOT_RUN = {
    r"(\S*python -m )?pip .*|PIP_\S+ .*|apt-get .*|conda .*": "needs an index of packages",
    r"(docker|apptainer) build .*": "needs that program and the network; tests/workflow/test_containers.py",
    r"\S*snakemake .*(--use-conda|--containerize).*": "needs conda; tests/system/test_conda.py",
    r"(\S*snakemake|make run) .*--profile profiles/slurm.*|squeue .*": "needs Slurm; tests/system/test_slurm.py",
    r"snakemake .*--configfile /data/config.yaml start.yaml": "needs a reader's bundle; tests/e2e/test_archive.py",
    r"\S*snakemake .*--report .*": "needs a finished run; tests/e2e/test_tiny.py",
    r"make (test|test-\w+)|pytest .*": "runs the tests",
    r"make (lint|format|hooks)": "checks or changes the repository; tests/workflow/test_style.py",
    r"make docs": "takes longer; tests/workflow/test_site.py",
    r"make (envs|containers)": "writes into the repository; tests/workflow/test_environments.py",
    r"make architecture": "writes into the repository; tests/workflow/test_architecture.py",
    r"make deviations": "writes into the repository; tests/unit/test_deviations.py",
    r"make run .*--configfile norm.yaml.*": "its page is followed; tests/workflow/test_adding_a_predictor.py",
    r"make run .*--configfile (fortune|folders).yaml.*": "its page is followed; tests/workflow/test_adding_a_reader.py",
    r"make run .*--configfile either.yaml.*": "its page is followed; tests/workflow/test_adding_a_score.py",
    r"export \w+=.*": "sets a variable of the reader's shell",
}
"""Why a command is not run here, and where there is one the test that does so, by a pattern of the whole command."""
SLOW = r".*config/study.yaml"
"""Dry runs that take longest."""
SHOWN = {"show_table.py", "clean.py", "doctor.py", "estimate.py"}
"""Tools that run as they are."""
DUMP = "corpus: my-dump\nextract_qk: {source: resources/tiny/functions.csv}\ncode: null\n"
"""A dump of queries and keys that is there; a dry run does not read it."""


def reason_not_to_run(command):
    return next((why for pattern, why in NOT_RUN.items() if re.fullmatch(pattern, command)), None)


def run_commands():
    for command in distinct_commands():
        if not reason_not_to_run(command):
            marks = [pytest.mark.again] if re.fullmatch(SLOW, command) and "estimate" not in command else []
            yield pytest.param(command, marks=marks, id=command)


class ArgumentsAreRead(Exception):
    """Raised where a tool has read its arguments, before it does anything."""


@pytest.fixture(scope="module")
def folder(shared_checkout):
    """A copy that looks set up, with what a reader has by then: settings, archived tables, results to delete."""
    place = shared_checkout.folder
    for stamp in (".venv/run.stamp", ".venv/test.stamp", ".venv-figures/stamp", ".venv/bin/python"):
        (place / stamp).parent.mkdir(parents=True, exist_ok=True)
        (place / stamp).touch()
    (place / "config/mine.yaml").write_text((ROOT / "tests/config/tiny.yaml").read_text())
    (place / "config/my-dump.yaml").write_text(DUMP)
    shared_checkout.write("results/qk/a", "")
    shared_checkout.write("results/gold/a", "")
    shared_checkout.write("results/pruning/code/model/seed~1/pruning/soft/model/a", "")
    shared_checkout.write("results/benchmarks/prepare/a.tsv", "s\th:m:s\tmax_rss\n1\t2\t3\n")
    (place / "from-archive").mkdir()
    for path in {path for command in distinct_commands() for path in re.findall(r"TABLE=(\S+)", command)}:
        # the study's tables lie where `make figures-from-archive` puts them
        member = path.removeprefix("from-archive/") if "/" in path else f"results/tables/{path}.tsv"
        with contextlib.chdir(place / "from-archive" if "/" in path else place):
            Bundle(ROOT / "archive/reference").restore(member)
    return place


@pytest.fixture(scope="module")
def planned():
    """Which runs of the workflow were planned before: several commands are the same run."""
    return set()


def lines_of(command, folder):
    """Return what a shell would do: the lines of the Makefile, or the command itself."""
    if not command.startswith("make"):
        return [command]
    run = subprocess.run(
        ["make", "--dry-run", "--no-print-directory", *shlex.split(command)[1:]],
        cwd=folder, env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert "pip install" not in run.stdout, run.stdout
    return run.stdout.replace("\\\n", " ").splitlines()


def plan(arguments, checkout, planned):
    """Plan a run of the workflow; how many jobs run at once does not matter for that."""
    text = re.sub(r"--cores \S+|--dry-run", "", shlex.join(arguments)).split()
    if tuple(text) in planned:
        return
    reading = [] if "--unlock" in arguments else ["--dry-run"]
    command = [sys.executable, "-m", "snakemake", *reading, *arguments]
    run = subprocess.run(command, cwd=checkout.folder, env=checkout.environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    planned.add(tuple(text))


def use_tool(script, arguments, folder, monkeypatch):
    """Run a tool in this process: as it is, or until it has read its arguments."""
    originals = {name: getattr(argparse.ArgumentParser, name) for name in ("parse_args", "parse_known_args")}

    def only_read(self, *given, name):
        for each, function in originals.items():  # the one calls the other
            monkeypatch.setattr(argparse.ArgumentParser, each, function)
        originals[name](self, *given)
        raise ArgumentsAreRead

    if script.name not in SHOWN:
        text = script.read_text()
        assert re.search(r"\.parse_(known_)?args\(", text), f"{script.name} does not say when it has read its arguments"
        for name in originals:
            monkeypatch.setattr(argparse.ArgumentParser, name, functools.partialmethod(only_read, name=name))
    monkeypatch.setattr(sys, "argv", [str(script), *arguments])
    monkeypatch.setattr(sys, "path", [str(script.parent), *sys.path])
    monkeypatch.chdir(folder)
    try:
        runpy.run_path(str(script), run_name="__main__")
    except ArgumentsAreRead:
        return
    except SystemExit as end:
        assert not end.code, end.code


@pytest.mark.parametrize("command", list(run_commands()))
def test_it_runs(command, folder, shared_checkout, planned, monkeypatch):
    for line in lines_of(command, folder):
        words = shlex.split(line)
        program = words[0].rpartition("/")[2]
        if program == "snakemake" or words[1:3] == ["-m", "snakemake"] or words[1:2] == ["tools/run.py"]:
            after = next(place for place, word in enumerate(words) if word.endswith(("snakemake", "tools/run.py")))
            plan(with_model(words[after + 1 :]), shared_checkout, planned)
        elif program == "python":
            use_tool(folder / words[1], words[2:], folder, monkeypatch)
        else:
            run = subprocess.run(["sh", "-c", line], cwd=folder, capture_output=True, text=True)
            assert run.returncode == 0, run.stderr


def with_model(arguments):
    """Let the reference study start from the encoder: its own model is made by a run before."""
    if "config/reference.yaml" not in arguments:
        return arguments
    place = arguments.index("config/reference.yaml") + 1
    return [*arguments[:place], "--config", "model=minilm-l6", *arguments[place:]]


def test_every_reason_is_needed_and_its_test_is_there():
    every = list(distinct_commands())
    assert len(every) > 100
    for pattern, why in NOT_RUN.items():
        assert any(re.fullmatch(pattern, command) for command in every), pattern
        assert all((ROOT / path).is_file() for path in re.findall(r"tests/\S+\.py", why)), why
