"""What every script shares: its log, one-line errors, progress, atomic writes, seeds, threads and device."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import random
import shutil
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from sparse_attention.errors import InputError, printable, shortened

logger = logging.getLogger("sparse_attention")
T = TypeVar("T")
# how Rust and, without a number, torch's file writer tell of a full disk
FULL_DISK = ("No space left on device", "basic_ios::clear: iostream error", "unexpected pos ")


def run(main: Callable[[Any], None], snakemake: Any) -> None:
    """Run a script's `main(snakemake)` under its rule's log and end with exit code 1 on any error.

    An `InputError` or a full disk becomes one line; anything else leaves its traceback in the log and one line on
    the terminal that says which rule failed and where the log is.
    """
    log = str(snakemake.log[0]) if snakemake.log else None
    configure_logging(log, label=snakemake.rule)
    started = time.monotonic()
    try:
        main(snakemake)
    except InputError as error:
        _fail(f"{error}", log)
    except Exception as error:
        if disk_is_full(error):
            _fail("the disk is full: free some space and run again; everything that was finished is kept", log)
        _fail_unexpected(snakemake.rule, error, log)
    logger.info("done in %.1f s", time.monotonic() - started)


def disk_is_full(error: BaseException | None) -> bool:
    """Tell whether an error, or one that caused it, comes from a full disk: libraries in C++ and Rust only say so."""
    while error is not None:
        if getattr(error, "errno", None) == errno.ENOSPC or any(words in str(error) for words in FULL_DISK):
            return True
        error = error.__cause__ or error.__context__
    return False


def _fail(message: str, log: str | None) -> None:
    logger.error("%s%s", message, f" (log: {log})" if log else "")
    sys.exit(1)


def _fail_unexpected(rule: str, error: Exception, log: str | None) -> None:
    if log:
        with open(log, "a", encoding="utf-8", errors="backslashreplace") as stream:
            traceback.print_exception(error, file=stream)
    _fail(shortened(f"rule {rule} failed unexpectedly: {type(error).__name__}: {error}"), log)


class _Readable(logging.Formatter):
    """Writes what a message quotes so that a name cannot move the cursor of a terminal or break its encoding."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


def configure_logging(log: str | None, label: str = "") -> None:
    """Send the library's messages to the terminal and, when given, to the file `log`; warnings go to the file only."""
    logger.handlers.clear()
    logger.setLevel(logging.INFO)
    logger.propagate = False
    terminal = logging.StreamHandler(sys.stderr)
    terminal.setFormatter(_Readable(f"[{label}] %(message)s" if label else "%(message)s"))
    logger.addHandler(terminal)
    if log:
        Path(log).parent.mkdir(parents=True, exist_ok=True)
        Path(log).write_text("", encoding="utf-8")
        to_file = logging.FileHandler(log, mode="a", encoding="utf-8", errors="backslashreplace")
        to_file.setFormatter(_Readable("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S"))
        logger.addHandler(to_file)
        logging.captureWarnings(True)
        warnings = logging.getLogger("py.warnings")
        warnings.handlers, warnings.propagate = [to_file], False


def progress(items: Iterable[T], total: int, what: str, every: float = 5.0) -> Iterator[T]:
    """Yield `items` and log a progress bar with rate and time left at most once per `every` seconds."""
    bar = ProgressBar(total, what, every)
    for done, item in enumerate(items):
        bar.update(done)
        yield item
    bar.update(total)


class ProgressBar:
    """A progress bar for loops that are not ours: `update(done, note)` logs at most once per `every` seconds."""

    def __init__(self, total: int, what: str, every: float = 5.0) -> None:
        self.total, self.what, self.every = total, what, every
        self.first = 0
        self.start = self.last = time.monotonic()

    def resume_at(self, done: int) -> None:
        """Count the rate from `done` on: what an earlier run did took no time here."""
        self.first = done

    def update(self, done: int, note: str = "") -> None:
        """Log the bar when `every` seconds have passed since the last time."""
        now = time.monotonic()
        if now - self.last < self.every:
            return
        self.last = now
        filled = 20 * done // max(self.total, 1)
        bar = "#" * filled + "-" * (20 - filled)
        pace = time_left = ""
        if done > self.first:
            rate = (done - self.first) / (now - self.start)
            left = int((self.total - done) / rate)
            pace = f"{rate:.1f}/s" if rate >= 1 else f"{1 / rate:.1f} s each"
            time_left = f"{left // 60}:{left % 60:02d} left"
        logger.info(
            "%s [%s] %d/%d, %s", self.what, bar, done, self.total, ", ".join(filter(None, [pace, time_left, note]))
        )


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary sibling of `path` to write to; it becomes `path` only when the block ends well."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.partial-{os.getpid()}")
    try:
        yield partial
        if target.is_dir() and partial.is_dir():
            shutil.rmtree(target)
        os.replace(partial, target)
    finally:
        if partial.is_dir():
            shutil.rmtree(partial, ignore_errors=True)
        else:
            partial.unlink(missing_ok=True)


def set_seed(seed: int) -> None:
    """Seed Python's, numpy's and torch's global generators."""
    import numpy
    import torch

    random.seed(seed)
    numpy.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def set_threads(threads: int) -> None:
    """Fix the numeric threads of torch and of the BLAS and OpenMP pools behind numpy and scikit-learn."""
    import threadpoolctl
    import torch

    torch.set_num_threads(threads)
    threadpoolctl.threadpool_limits(threads)


def resolve_device(device: str) -> str:
    """Turn `auto` into the best device there is; raise `InputError` when the one asked for is missing."""
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not available.get(device.split(":")[0], False):
        raise InputError(f"device: {device!r} is not available on this machine; use auto or cpu")
    return device
