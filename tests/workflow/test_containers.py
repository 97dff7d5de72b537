"""The recipes of the image are what Snakemake derives from the environments."""

from __future__ import annotations

import os

import pytest

import make_containers

ROOT = make_containers.ROOT


@pytest.mark.slow
@pytest.mark.parametrize("file", make_containers.FORMATS)
def test_recipes_are_what_make_containers_writes(file):
    assert (ROOT / "containers" / file).read_text() == make_containers.generated(file), "run `make containers`"


def test_a_workflow_that_snakemake_cannot_read_is_told(tmp_path):
    (tmp_path / "Snakefile").write_text("rule: broken\n")
    with pytest.raises(SystemExit, match="Snakefile"):
        make_containers.generated("Dockerfile", tmp_path)


# runs nothing; it answers what a dry run asks the conda of the image
APPTAINER = """#!/bin/sh
case "$*" in
    *"conda --version"*) echo "conda 25.1.0" ;;
    *"conda info"*) echo '{"conda_prefix": "/opt/conda", "platform": "linux-64"}' ;;
    *"type conda"*) ;;
    *) echo "apptainer version 1.4.0" ;;
esac
"""


@pytest.mark.slow
def test_the_image_of_the_configuration_holds_every_job(checkout, tmp_path, monkeypatch):
    program = tmp_path / "bin" / "apptainer"
    program.parent.mkdir()
    program.write_text(APPTAINER)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    overlay = checkout.write("image.yaml", "container: image.sif\n")
    # a local image is looked for before it is used
    arguments = ["--dry-run", "--use-conda", "--use-apptainer", "--verbose"]
    run = checkout.snakemake(*arguments, configfiles=("tests/config/tiny.yaml", overlay))
    assert run.returncode == 0, run.stdout + run.stderr
    assert "image.sif" in run.stdout + run.stderr
