"""A conda for tests, on a machine without one: see tests/system/conda for what is real in it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PARTS = ROOT / "tests" / "system" / "conda"


@dataclass(frozen=True)
class Conda:
    """A folder with the command `conda`, a channel, and the environment from which Snakemake is started."""

    folder: Path

    @property
    def base(self) -> Path:
        """The base installation."""
        return self.folder / "base"

    @property
    def driver(self) -> Path:
        """The environment made from environment.yaml."""
        return self.folder / "driver"

    @property
    def environments(self) -> Path:
        """Where Snakemake puts the environments of rules."""
        return self.folder / "environments"

    def environment(self) -> dict[str, str]:
        """Return the variables of a shell in which the driver's environment is active."""
        path = os.pathsep.join([str(self.driver / "bin"), str(self.folder / "condabin"), os.environ["PATH"]])
        return {**os.environ, "PATH": path, "CONDA_CHANNEL_ALIAS": (self.folder / "channels").as_uri()}

    def snakemake(self, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Snakemake from the driver's environment, with the tiny configuration on two cores."""
        command = ["snakemake", "--cores", "2", *arguments, "--configfile", "tests/config/tiny.yaml"]
        environment = {**self.environment(), "HF_HUB_OFFLINE": "1", "PYTHONHASHSEED": "0"}
        return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=3600)


def install_tools(folder: Path) -> Path:
    """Install what these tests run on into a virtual environment; return its folder of programs."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    pip = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    pins = ["--constraint", ROOT / "constraints.txt", "--requirement", PARTS / "requirements.txt"]
    subprocess.run([*pip, *pins], check=True)
    return folder / "bin"


def install_conda(folder: Path) -> Conda:
    """Make the base installation, the channel conda-forge, and the driver's environment."""
    conda = Conda(folder)
    python = install_tools(conda.base) / "python"
    shutil.copy(PARTS / "activate", conda.base / "bin")
    program = folder / "condabin" / "conda"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{python}" "{PARTS / "front_end.py"}" "$@"\n')
    program.chmod(0o755)
    subprocess.run([python, PARTS / "channel.py", folder / "channels" / "conda-forge"], check=True)
    create = [program, "env", "create", "--file", ROOT / "environment.yaml", "--prefix", conda.driver]
    subprocess.run(create, check=True, env=conda.environment())
    return conda
