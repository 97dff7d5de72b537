"""Ends a job whose Snakemake is gone, and keeps it from running beside another job that writes the same files.

A killed Snakemake cannot end its jobs. On this machine they notice it and end themselves; on a cluster they go on, and
the same jobs of a later run wait for them.
"""

from __future__ import annotations

import contextlib
import fcntl
import glob
import hashlib
import logging
import os
import platform
import shutil
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

logger = logging.getLogger(__name__)

PARENT = "SPARSE_ATTENTION_SNAKEMAKE"
"""Environment variable with the process id of the Snakemake that starts the job, and where this id is valid."""
LOCKS = Path(".snakemake", "jobs")
SECONDS = 1.0
"""Time from one look at Snakemake to the next."""


def announce() -> None:
    """Tell the jobs that this process starts which process they belong to."""
    os.environ[PARENT] = f"{os.getpid()} {_scope()}"


def end_with_snakemake() -> None:
    """Send SIGTERM to this process when the Snakemake that started it ends; a training then saves a resume point.

    Without effect where Snakemake's process cannot be seen, as in a container with process ids of its own.
    """
    pid, _, scope = os.environ.get(PARENT, "").partition(" ")
    if pid and scope == _scope():
        threading.Thread(target=_watch, args=(int(pid),), name="end with Snakemake", daemon=True).start()


@contextlib.contextmanager
def only_writer(outputs: Sequence[str]) -> Iterator[None]:
    """Hold the outputs of a job inside a `with` block, and remove what killed jobs left half-written beside them.

    Waits for another process that holds them. On a file system without locks nothing is held.
    """
    with _held(Path(LOCKS, f"{hashlib.sha256(outputs[0].encode()).hexdigest()[:32]}.lock")):
        for output in outputs:
            clear_partials(output)
        yield


def clear_partials(path: str | os.PathLike[str]) -> None:
    """Remove what killed processes left of `files.atomic.atomic_path(path)`; no live process may be writing `path`."""
    target = Path(path)
    for partial in target.parent.glob(f".{glob.escape(target.name)}.partial-*"):
        if partial.is_dir():
            shutil.rmtree(partial, ignore_errors=True)
        else:
            partial.unlink(missing_ok=True)


@contextlib.contextmanager
def _held(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        with path.open("a+", encoding="utf-8") as stream:
            # whoever held the file before has removed it
            if _lock(stream) and not _is_at(path, stream):
                continue
            stream.truncate(0)
            stream.write(f"process {os.getpid()} on {platform.node()}")
            stream.flush()
            try:
                yield
            finally:
                path.unlink(missing_ok=True)
            return


def _lock(stream: IO[str]) -> bool:
    """Lock a file, after whoever holds it; return False where the file system has no locks."""
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        stream.seek(0)
        logger.info("waiting for %s, a job of an interrupted run that writes the same files", stream.read())
        fcntl.flock(stream, fcntl.LOCK_EX)
    except OSError as error:
        logger.info("jobs that write the same files are not noticed: %s", error)
        return False
    return True


def _is_at(path: Path, stream: IO[str]) -> bool:
    """Return whether an open file is still the one at `path`."""
    with contextlib.suppress(OSError):
        return path.stat().st_ino == os.fstat(stream.fileno()).st_ino
    return False


def _watch(pid: int) -> None:
    while _is_alive(pid):
        time.sleep(SECONDS)
    logger.error("Snakemake (process %d) is gone, so this job ends too; start the same command again", pid)
    os.kill(os.getpid(), signal.SIGTERM)


def _scope() -> str:
    """Return what tells this machine, or this container, from others: process ids mean the same within it."""
    with contextlib.suppress(OSError):
        return f"{platform.node()} {os.readlink('/proc/self/ns/pid')}"
    return platform.node()


def _is_alive(pid: int) -> bool:
    """Return whether a process exists and is not a zombie."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    with contextlib.suppress(OSError):
        return (
            Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[0] != "Z"
        )
    return True
