"""Snakemake with plugins that the test environment lacks."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Driver:
    """A Python that has all packages of this one, and the plugins of some profiles."""

    python: Path

    def start(self, folder: Path, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        """Start Snakemake on the tiny configuration; its messages go to the file `run.log` of the folder."""
        command = [self.python, "-m", "snakemake", "--configfile", "tests/config/tiny.yaml", *arguments]
        environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONHASHSEED": "0", **variables}
        with (folder / "run.log").open("w") as log:
            return subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log, text=True)

    def run(self, folder: Path, *arguments: str, seconds: float = 1200, **variables: str) -> tuple[int, str]:
        """Run Snakemake as `start` does; return its exit status and its messages."""
        status = self.start(folder, *arguments, **variables).wait(timeout=seconds)
        return status, (folder / "run.log").read_text()


def install_driver(folder: Path, profiles: Sequence[str]) -> Driver:
    """Install what the profiles need beside the packages of this Python; raise if pip fails."""
    venv.create(folder)
    python = folder / "bin" / "python"
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    (folder / "lib" / version / "site-packages" / "tests.pth").write_text(sysconfig.get_path("purelib") + "\n")
    files = [f"--requirement={ROOT / 'profiles' / profile / 'requirements.txt'}" for profile in profiles]
    command = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", *files]
    subprocess.run([*command, "--constraint", ROOT / "constraints.txt"], check=True)
    return Driver(python)
