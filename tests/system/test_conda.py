"""`--use-conda` for real: environments are solved, installed and activated, and the tiny configuration runs in them."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

import imports
import make_envs
from conda_installation import ROOT, Conda, install_conda
from killing import tables

SCRIPTS = ROOT / "workflow" / "scripts"
RULES = make_envs.read_rules()
# the first rule of each environment
FIRST = {tuple(needs): rule for rule, needs in reversed(RULES.items())}
# what an environment alone must manage: each script but its last line, which starts the job, and all other imports
IMPORT_ALL = """
import importlib, json, runpy, sys
sys.path.append(sys.argv[1])
for script, names in json.load(sys.stdin).items():
    try:
        runpy.run_path(f"{sys.argv[1]}/{script}.py", run_name="imported")
        for name in names:
            importlib.import_module(name)
    except ImportError as error:
        print(f"{script}: {error}")
"""


@pytest.fixture(scope="module")
def conda(tmp_path_factory: pytest.TempPathFactory) -> Conda:
    """Return an installation of conda with an environment for Snakemake itself."""
    return install_conda(tmp_path_factory.mktemp("conda"))


@pytest.fixture(scope="module")
def in_conda(conda, finished, tmp_path_factory):
    """Return a copy of the repository in which the tiny configuration has run with `--use-conda`."""
    copy = finished.copy(tmp_path_factory.mktemp("in_conda") / "checkout")
    for folder in ("results", ".snakemake"):
        shutil.rmtree(copy.folder / folder)
    run = with_conda(conda, copy)
    assert run.returncode == 0, run.stdout + run.stderr
    return copy


def with_conda(conda, checkout, *arguments):
    return conda.snakemake(checkout.folder, "--use-conda", "--conda-prefix", str(conda.environments), *arguments)


def environment_of(conda, rule) -> Path:
    """Return the folder of the environment that Snakemake made for a rule."""
    content = (ROOT / "envs" / f"{rule}.yaml").read_text()
    (folder,) = (path.with_suffix("") for path in conda.environments.glob("*.yaml") if path.read_text() == content)
    return folder


def test_tables_are_those_of_a_run_without_conda(in_conda, finished):
    made, expected = tables(in_conda.folder), tables(finished.folder)
    assert len(made) > 50 and set(made) == set(expected)
    assert [name for name in made if made[name] != expected[name]] == []


def test_rules_share_environments(conda, in_conda):
    assert len(list(conda.environments.glob("*.env_setup_done"))) == len(FIRST) == 3


def test_the_environment_of_snakemake_is_small(conda):
    code = "import importlib.util as found; print([m for m in ('torch', 'numpy', 'pandas') if found.find_spec(m)])"
    run = subprocess.run([conda.driver / "bin" / "python", "-I", "-c", code], capture_output=True, text=True)
    assert run.stdout == "[]\n", run.stderr


@pytest.mark.parametrize("first", FIRST.values())
def test_an_environment_alone_has_what_its_scripts_import(first, conda, in_conda):
    scripts = {
        # not every build of torch brings triton
        rule: sorted(imports.third_party(SCRIPTS / f"{rule}.py") - {"triton"})
        for rule, needs in RULES.items()
        if needs == RULES[first]
    }
    # isolated: neither Snakemake's packages, which a job sees behind its own, nor those of a user
    command = [environment_of(conda, first) / "bin" / "python", "-I", "-c", IMPORT_ALL, SCRIPTS]
    run = subprocess.run(command, input=json.dumps(scripts), capture_output=True, text=True)
    assert (run.returncode, run.stdout) == (0, ""), run.stderr


def test_a_run_without_conda_is_finished_with_it(conda, in_conda, copy_of_finished):
    run = with_conda(conda, copy_of_finished, "--dry-run")
    assert run.returncode == 0 and "Nothing to be done" in run.stdout + run.stderr, run.stdout + run.stderr


def test_a_run_in_conda_is_finished_without_it(in_conda):
    assert in_conda.planned() == []
