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
