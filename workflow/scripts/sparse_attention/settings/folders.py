"""Finds folders that Snakemake cannot work in."""

from __future__ import annotations

import os
from pathlib import Path


def why_unusable(folder: Path) -> str | None:
    """Return why Snakemake cannot work in a folder with this name; None when it can."""
    if os.fsencode(folder).decode(errors="replace") != str(folder):
        return f"{folder}: the name is not UTF-8, which Snakemake cannot use; rename the folder"
    if "{" in str(folder) or "}" in str(folder):
        return f"{folder}: the name has braces, which Snakemake takes for wildcards; rename the folder"
    return None


def why_read_only(folder: Path) -> str | None:
    """Return why a run cannot write its results into a folder; None when it can."""
    if os.access(folder, os.W_OK):
        return None
    return f"{folder}: the folder cannot be written; run a copy of the workflow in a folder where you may write"
