"""Runs the main function of every script, with its log and one-line errors."""

from __future__ import annotations

import contextlib
import errno
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

from sparse_attention.errors import InputError, shortened
from sparse_attention.jobs.guard import end_with_snakemake, only_writer
from sparse_attention.jobs.log import configure_logging, logger

# messages for a full disk of Rust and of torch's file writer, which do not set an error number
FULL_DISK = ("No space left on device", "basic_ios::clear: iostream error", "unexpected pos ")
# of torch, for the memory of the machine and of a GPU
NO_MEMORY = ("can't allocate memory", "out of memory", "Cannot allocate memory")


def run(main: Callable[[Any], None], snakemake: Any) -> None:
    """Run a script's `main(snakemake)` under its rule's log and end with exit code 1 on any error.

    The job ends when its Snakemake is gone, and waits for another job that writes the same files.

    An `InputError`, a full disk or too little memory becomes a message of one line. For any other error one line on the
    terminal says which rule failed and where the log is. The log has the traceback.
    """
    log = str(snakemake.log[0]) if snakemake.log else None
    started = time.monotonic()
    end_with_snakemake()
    try:
        configure_logging(log, label=snakemake.rule)
        with only_writer([str(output) for output in snakemake.output]):
            main(snakemake)
    except InputError as error:
        _fail(f"{error}", log)
    except Exception as error:
        if disk_is_full(error):
            _fail("the disk is full: free some space and run again; all finished files are kept", log)
        if log:
            with contextlib.suppress(OSError), open(log, "a", encoding="utf-8", errors="backslashreplace") as stream:
                traceback.print_exception(error, file=stream)
        if memory_is_full(error):
            memory = "GPU memory" if "CUDA" in str(error) else "memory"
            _fail(f"rule {snakemake.rule} needs more {memory} than there is: see docs/troubleshooting.md", log)
        _fail(shortened(f"rule {snakemake.rule} failed unexpectedly: {type(error).__name__}: {error}"), log)
    logger.info("done in %.1f s", time.monotonic() - started)


def disk_is_full(error: BaseException | None) -> bool:
    """Return whether an error or its cause is a full disk; libraries in C++ and Rust say so only in their messages."""
    while error is not None:
        if getattr(error, "errno", None) == errno.ENOSPC or any(words in str(error) for words in FULL_DISK):
            return True
        error = error.__cause__ or error.__context__
    return False


def memory_is_full(error: BaseException | None) -> bool:
    """Return whether an error or its cause is that memory could not be had, that of the machine or of a GPU."""
    while error is not None:
        if isinstance(error, MemoryError) or any(words in str(error) for words in NO_MEMORY):
            return True
        error = error.__cause__ or error.__context__
    return False


def _fail(message: str, log: str | None) -> None:
    logger.error("%s%s", message, f" (log: {log})" if log else "")
    sys.exit(1)
