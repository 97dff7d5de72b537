"""Tells how much room a disk has, so that a job that cannot finish does not start."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from sparse_attention.errors import InputError


def shortage(folder: str | os.PathLike[str], needed: int) -> str | None:
    """Return how much room is needed, free and missing on the disk of a folder, which need not exist yet; None: enough.

    Parameters
    ----------
    folder : path-like
        Where files are to be written.
    needed : int
        Their size in bytes.
    """
    place = Path(folder).absolute()
    while not os.path.exists(place):
        place = place.parent
    try:
        free = shutil.disk_usage(place).free
    except OSError:  # such a place is not for this to report
        return None
    if needed <= free:
        return None
    return f"{size(needed)} are needed in {folder}, but {size(free)} are free: {size(needed - free)} are missing"


def require_room(folder: str | os.PathLike[str], needed: int, remedy: str) -> None:
    """Raise `InputError`, with a remedy, when the disk of a folder has less than `needed` bytes left."""
    problem = shortage(folder, needed)
    if problem:
        raise InputError(f"the disk is too small: {problem}; free some space, or {remedy}")


def size(number: float) -> str:
    """Return a number of bytes with three digits and a unit.

    Examples
    --------
    >>> size(1234), size(5e9)
    ('1.23 kB', '5 GB')
    """
    for unit in ("bytes", "kB", "MB", "GB"):
        if number < 999.5:
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:.3g} TB"
