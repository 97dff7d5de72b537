"""What Snakemake hands to a script as a named input."""

from __future__ import annotations

from typing import Any


def listed(value: Any) -> list[str]:
    """Return a named input as a list: it may be absent, one path, or several."""
    return [value] if isinstance(value, str) else list(value or ())
