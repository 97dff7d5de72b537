"""Folders that Snakemake cannot work in."""

from __future__ import annotations

import os
from pathlib import Path


def why_unusable(folder: Path) -> str | None:
    """Say why Snakemake cannot work in a folder of this name; None when it can."""
    if os.fsencode(folder).decode(errors="replace") != str(folder):
        return f"{folder}: Snakemake cannot write down a name that is not UTF-8; rename the folder"
    if "{" in str(folder) or "}" in str(folder):
        return f"{folder}: Snakemake takes braces in a folder's name for wildcards; rename the folder"
    return None
