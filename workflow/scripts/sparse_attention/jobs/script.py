"""What every script shares: its log, one-line errors, progress, atomic writes, seeds, threads and device."""

from __future__ import annotations

import errno
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

from sparse_attention.errors import InputError, shortened
from sparse_attention.jobs.log import configure_logging, logger

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
