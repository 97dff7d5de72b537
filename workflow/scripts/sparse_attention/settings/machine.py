"""Finds what the machine offers, without any package."""

from __future__ import annotations

import contextlib
import math
import os
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup/memory.max")


def memory() -> float:
    """Return the bytes of memory that this process and its children may use together."""
    limit = math.inf
    with contextlib.suppress(OSError, ValueError):
        limit = int(CGROUP.read_text(encoding="ascii"))
    return min(limit, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
