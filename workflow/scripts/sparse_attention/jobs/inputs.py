"""Reads the named inputs that Snakemake gives to a script."""

from __future__ import annotations

from typing import Any


def input_paths(value: Any) -> list[str]:
    """Return the paths of a named input, which may be None, one path or several."""
    return [value] if isinstance(value, str) else list(value or ())
