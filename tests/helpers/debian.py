"""Installs packages of Debian for tests of the system."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock


def why_missing(commands: Sequence[str], packages: Sequence[str]) -> str | None:
    """Return why commands are missing, after trying to install the packages that bring them, or None.

    Parameters
    ----------
    commands : sequence of str
        Programs that tests need.
    packages : sequence of str
        Packages of Debian that bring them.
    """
    if all(map(shutil.which, commands)):
        return None
    if os.geteuid() or not shutil.which("apt-get"):
        return f"{' and '.join(packages)} must be installed, by root and with apt-get"
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    # apt-get refuses to run beside another one, such as that of a test in another process
    with FileLock(Path(tempfile.gettempdir(), "apt-get-of-tests.lock")):
        for step in (["update"], ["install", "--yes", "--no-install-recommends", *packages]):
            run = subprocess.run(["apt-get", *step], env=environment, capture_output=True, text=True)
            if run.returncode:
                return f"apt-get {step[0]} failed: {(run.stderr or run.stdout).strip().splitlines()[-1]}"
    return None
