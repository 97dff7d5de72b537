"""Gives libraries a folder for their caches on machines where the home folder cannot be written."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

FOLDER = Path(".snakemake", "cache")
VARIABLES = {"XDG_CACHE_HOME": "", "MPLCONFIGDIR": "matplotlib", "TRITON_CACHE_DIR": "triton"}


def provide(folder: Path = FOLDER) -> None:
    """Set the environment variables for cache folders to `folder` if the home folder cannot be written.

    They hold for the libraries of this process and its children. Variables that are already set stay as they are.
    """
    home = os.path.expanduser("~")
    if os.path.isabs(home) and _can_be_written(home):
        return
    for variable, name in VARIABLES.items():
        os.environ.setdefault(variable, str(folder.absolute() / name))


def _can_be_written(folder: str) -> bool:
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False
