"""What `make` would do, without doing it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FILES = ("Makefile", "requirements.txt", "requirements-dev.txt", "requirements-figures.txt", "constraints.txt")


@pytest.fixture
def folder(tmp_path):
    for name in FILES:
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def planned(folder, *arguments):
    # a make above this one must pass on neither its flags nor its variables
    variables = re.findall(r"^(\w+) \?=", (ROOT / "Makefile").read_text(), re.MULTILINE)
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("MAKE", "MFLAGS")) and name not in variables
    }
    run = subprocess.run(
        ["make", "--dry-run", *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    return run.stdout.splitlines()


def install(folder, *stamps, environment=".venv"):
    (folder / environment / "bin").mkdir(parents=True)
    for path in ("bin/python", *stamps):
        (folder / environment / path).touch()


def test_first_call_sets_up_from_the_lock(folder):
    commands = "\n".join(planned(folder, "run", "PYTHON=python3.11"))
    assert "python3.11 -m venv .venv" in commands
    assert "--constraint constraints.txt --requirement requirements.txt" in commands


def test_second_call_only_starts_the_workflow(folder):
    install(folder, "run.stamp")
    assert planned(folder, "run", "CORES=2", "ARGS=--quiet") == [".venv/bin/python tools/run.py --cores 2 --quiet"]


def test_a_dry_run_reads_the_configuration_as_a_run_does(folder):
    install(folder, "run.stamp")
    assert planned(folder, "dry-run", "CORES=2", "ARGS=--quiet") == [
        ".venv/bin/python tools/run.py --cores 2 --dry-run --quiet"
    ]


def test_the_demo_runs_in_a_folder_of_its_own_with_the_same_downloads(folder):
    install(folder, "run.stamp")
    prepare, run, say = planned(folder, "demo", "CORES=2", "ARGS=--quiet")
    assert run == (
        ".venv/bin/python tools/run.py --cores 2"
        " --directory demo --configfile config/config.yaml config/demo.yaml --quiet"
    )
    assert say == 'echo "open demo/results/report.html"'
    for _ in range(2):
        subprocess.run(prepare, shell=True, cwd=folder, check=True)
    assert (folder / "demo/resources").resolve() == folder / "resources"
    assert list((folder / "resources").iterdir()) == []


def test_the_reference_study_starts_from_a_model_that_it_makes_first(folder):
    install(folder, "run.stamp")
    _, *runs, say = planned(folder, "reference", "CORES=2", "ARGS=--quiet")
    start = ".venv/bin/python tools/run.py --cores 2 --directory reference --configfile config/config.yaml"
    (model,) = yaml.safe_load((ROOT / "config/reference.yaml").read_text())["models"].values()
    assert runs == [
        f"{start} config/reference-text.yaml --quiet -- {Path(model['path']).parent}/training.tsv",
        f"{start} config/reference.yaml --quiet",
    ]
    assert say == 'echo "open reference/results/report.html"'


@pytest.mark.parametrize("changed", ["requirements.txt", "constraints.txt"])
def test_a_changed_lock_is_installed(folder, changed):
    install(folder, "run.stamp")
    later = time.time() + 10
    os.utime(folder / changed, (later, later))
    assert any("pip install" in command for command in planned(folder, "run"))


def test_tests_install_their_own_needs(folder):
    install(folder, "run.stamp")
    commands = planned(folder, "test", "TESTS=tests/unit")
    assert any("--requirement requirements-dev.txt" in command for command in commands)
    assert re.fullmatch(
        r"\.venv/bin/python -m pytest --numprocesses logical .*--dist worksteal"
        r" -m \"not again and not system\" tests/unit",
        commands[-1],
    )


def test_the_fast_tests_are_those_that_are_not_slow(folder):
    install(folder, "test.stamp")
    whole, usual, fast = (planned(folder, target)[-1] for target in ("test-all", "test", "test-fast"))
    assert whole.endswith(' -m "not system" tests')
    assert usual == whole.replace("not system", "not again and not system")
    assert fast == whole.replace("not system", "not slow and not again and not system")


@pytest.mark.parametrize(
    ("target", "command"),
    [
        ("test-system", "--numprocesses 2 --dist loadfile --ignore tests/system/test_kill.py tests/system"),
        ("test-conda", "tests/system/test_conda.py tests/system/test_pins.py"),
        ("test-slurm", "tests/system/test_slurm.py tests/system/test_schedulers.py"),
        ("test-kill", "-s tests/system/test_kill.py"),
    ],
)
def test_what_needs_more_than_packages_of_python_is_tested_on_demand(folder, target, command):
    install(folder, "test.stamp")
    (planned_command,) = planned(folder, target, "KILLS=3", "KILL_SEED=5")
    kills = "KILLS=3 KILL_SEED=5 " if target == "test-kill" else ""
    assert planned_command == f"{kills}.venv/bin/python -m pytest {command}"


def test_missing_python_is_told(folder):
    run = subprocess.run(["make", "run", "PYTHON="], cwd=folder, capture_output=True, text=True, check=False)
    assert run.returncode
    assert "Python 3.11 or newer is needed" in run.stderr


def test_the_doctor_comes_before_the_set_up_and_with_an_old_python(folder):
    assert planned(folder, "doctor", "PYTHON=python3.12") == ["python3.12 tools/doctor.py"]
    assert planned(folder, "doctor", "PYTHON=") == ["python3 tools/doctor.py"]
    install(folder)
    assert planned(folder, "doctor") == [".venv/bin/python tools/doctor.py"]


@pytest.mark.parametrize(
    ("target", "command"),
    [
        (["show", "TABLE=pruning", "ARGS=--rows 3"], "show_table.py pruning --rows 3"),
        (["clean", "STAGE=qk"], "clean.py qk"),
    ],
    ids=["show", "clean"],
)
def test_tables_are_shown_with_the_environment_that_is_there(folder, target, command):
    assert any("--requirement requirements.txt" in line for line in planned(folder, *target, "PYTHON=python3.11"))
    install(folder, "stamp", environment=".venv-figures")
    assert planned(folder, *target) == [f".venv-figures/bin/python tools/{command}"]
    install(folder, "run.stamp")
    assert planned(folder, *target) == [f".venv/bin/python tools/{command}"]


def test_ci_runs_the_tests():
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert script.read_text().splitlines()[-2:] == ["make test", "make test-system"]


def test_one_case_of_the_damaged_files_can_be_read_again(folder):
    install(folder, "test.stamp")
    (command,) = planned(folder, "fuzz", "READER=dump-new", "SEED=7")
    assert "FUZZ_SEED=7" in command and 'tests/fuzz -k "[dump-new]"' in command
