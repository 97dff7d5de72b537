"""The code is formatted, linted and typed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "command", ["ruff check .", "ruff format --check .", pytest.param("mypy", marks=pytest.mark.slow)]
)
def test_style(command):
    run = subprocess.run([sys.executable, "-m", *command.split()], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr


def test_imports_run_downwards():
    command = [Path(sys.executable).with_name("lint-imports"), "--no-logo", "--no-cache"]
    environment = os.environ | {"PYTHONPATH": "workflow/scripts"}
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr


def test_hooks_run_what_make_lint_runs():
    makefile = (ROOT / "Makefile").read_text().split("\nlint:")[1].split("\n\n")[0]
    commands = [line.replace("$(BIN)", ".venv/bin").split(".venv/bin/")[1] for line in makefile.splitlines()[1:]]
    hooks = (ROOT / ".pre-commit-config.yaml").read_text()
    for command in commands:
        words = [word for word in command.split() if word not in (".", "Snakefile", "workflow/Snakefile", "rules")]
        assert f".venv/bin/{' '.join(words)}" in hooks, command
