"""Measure the time and the memory of a call."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import re
import statistics
import time
from collections.abc import Callable
from pathlib import Path

STATUS = Path("/proc/self/status")


def milliseconds(run: Callable[[], object], repeats: int) -> float:
    """Return the median time of a call, without the first."""
    run()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times)


def peak_mib(run: Callable[[], object]) -> float | None:
    """Return the most memory that a call takes beyond what is held before, in MiB; None where Linux does not tell."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)  # memory that is free but not given back would not be counted
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return None
    before = _status("VmRSS")
    run()
    return round((_status("VmHWM") - before) / 1024, 1)


def _status(name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB", STATUS.read_text(), re.MULTILINE)
    return int(found[1]) if found else 0
