"""Finds out whether jobs can get the software environments that the command line asks for."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable

# found on the path, these do not replace conda: Snakemake calls `conda` itself
RELATIVES = ("mamba", "micromamba", "pixi")


def why_no_conda(methods: Iterable[object]) -> str | None:
    """Return why jobs cannot have conda environments; None when they can, or when nobody asks for them.

    Parameters
    ----------
    methods : iterable
        Snakemake's names of the ways to deploy software, such as `conda` or `apptainer`.
    """
    asked = {str(method) for method in methods}
    # with Apptainer, conda is that of the image
    if "conda" not in asked or "apptainer" in asked or shutil.which("conda") or "BASH_FUNC_conda%%" in os.environ:
        return None
    instead = next((f" ({name} is, but Snakemake calls conda)" for name in RELATIVES if shutil.which(name)), "")
    return (
        f"--use-conda: conda is not on the path{instead}; install Miniforge, or activate its base environment, or "
        "leave --use-conda out and install requirements.txt with pip"
    )
