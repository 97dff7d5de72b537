"""Lets one run at a time use a folder, and removes the lock of a run that was killed.

Snakemake's lock names files, but no process, and a killed run leaves it. Each run therefore has a small record with its
process id and start times, which differ for a later process with the same id.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import platform
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

import psutil

from sparse_attention.files.atomic import atomic_path

RECORDS = Path(".snakemake", "runs")
LOCKS = Path(".snakemake", "locks")
SCRIPTS = Path(".snakemake", "scripts")
ACTIVE = "active.lock"
"""The file in `RECORDS` that the active run holds."""
TICK = 0.02
"""Seconds by which two readings of one start time may differ: systems round to hundredths."""
PATIENCE = 20.0
"""Seconds in which jobs of a killed run should have ended; a training first completes its step."""
READING = re.compile(
    r"-[pFkr]*n.*|-[SDlh]|--(dry-?run|nolock|lint|(detailed-)?summary|report|rulegraph|dag|filegraph|d3dag|list"
    r"|list-.*|lt|lc|lu|help|print-compilation|containerize|generate-unit-tests|archive)"
)
"""Options of Snakemake with which it runs no job, or with which the user wants no lock."""

_holding: dict[Path, IO[str]] = {}


@dataclass(frozen=True)
class Run:
    """A process that runs, or ran, the workflow.

    Attributes
    ----------
    pid : int
        Its process id.
    started, uptime : float
        When it started, in seconds since 1970 and in seconds since its machine started.
    host : str
        The name of its machine.
    """

    pid: int
    started: float
    uptime: float
    host: str

    @property
    def state(self) -> str:
        """The state `alive` or `dead`, or `unknown` for a process on another machine."""
        if self.host != _host():
            return "unknown"
        now = _start_of(self.pid)
        # setting the clock changes one of the two times: `started` on Linux, `uptime` on other systems
        same = now and any(
            abs(ours - theirs) < TICK for ours, theirs in zip((self.started, self.uptime), now, strict=True)
        )
        return "alive" if same else "dead"


def claim(arguments: Sequence[str], folder: str | os.PathLike[str] = ".") -> str | None:
    """Make this process the only run in `folder` until it ends; return None, or in one line why it cannot be.

    Jobs of a killed run get some time to end, and its lock is removed.

    Parameters
    ----------
    arguments : sequence of str
        Snakemake's arguments; nothing is claimed where they run no job.
    folder : path-like
        Folder of the run.
    """
    names, file = {argument.split("=")[0] for argument in arguments}, Path(folder, RECORDS, ACTIVE).absolute()
    if file in _holding or any(READING.fullmatch(name) for name in names):
        return None
    free = _hold(file)
    run = owner(folder)
    if run and run.state == "alive":
        return (
            f"another run is active in this folder: process {run.pid}. Wait for it, or stop it with Ctrl-C in its "
            f"terminal (or `kill {run.pid}`)."
        )
    if not free:
        return "another run is starting in this folder. Wait for it, or stop it with Ctrl-C in its terminal."
    if "--unlock" in names:
        return None
    problem = _wait_for_jobs(folder) or (_clear(folder, run) if is_locked(folder) else None)
    if problem is None:
        _record_start(folder)
    return problem


def record_end(folder: str | os.PathLike[str] = ".") -> None:
    """Remove this process's record."""
    _record(folder, Run(os.getpid(), 0.0, 0.0, _host())).unlink(missing_ok=True)


def release(folder: str | os.PathLike[str] = ".") -> None:
    """Undo `claim` before this process ends, as for a folder that it deletes: some systems keep files that are open."""
    record_end(folder)
    stream = _holding.pop(Path(folder, RECORDS, ACTIVE).absolute(), None)
    if stream:
        stream.close()


def owner(folder: str | os.PathLike[str] = ".") -> Run | None:
    """Return the run that may own the lock in `folder`: one that is alive, else an unknown one, else a dead one."""
    by_state = {run.state: run for run in _runs(folder)}
    return by_state.get("alive") or by_state.get("unknown") or by_state.get("dead")


def is_locked(folder: str | os.PathLike[str] = ".") -> bool:
    """Return whether `folder` has a lock of Snakemake."""
    return any(Path(folder, LOCKS).glob("*.lock"))


def working_scripts(folder: str | os.PathLike[str] = ".") -> list[int]:
    """Return the ids of processes that run scripts of `folder`; these can go on after their run was killed."""
    # `.snakemake` may be a link, and processes show the path by which they were started
    paths = Path(folder, SCRIPTS).absolute(), Path(folder, SCRIPTS).resolve()
    scripts = tuple(f"{path}{os.sep}" for path in paths)
    found = psutil.process_iter(["cmdline"])
    return [process.pid for process in found if any(part.startswith(scripts) for part in process.info["cmdline"] or ())]


def _wait_for_jobs(folder: str | os.PathLike[str]) -> str | None:
    """Wait until the jobs of a killed run have ended; return what to do when they do not."""
    end, told = time.monotonic() + PATIENCE, False
    while working := working_scripts(folder):
        pids = " ".join(map(str, working))
        if time.monotonic() > end:
            return f"jobs of an interrupted run are still active; wait for them, or end them with `kill {pids}`."
        if not told:
            print(f"waiting for jobs of an interrupted run to end: process {pids}", file=sys.stderr)
            told = True
        time.sleep(0.2)
    return None


def _clear(folder: str | os.PathLike[str], run: Run | None) -> str | None:
    """Remove Snakemake's lock of a dead run; return what to do about one that may be alive."""
    if not run or run.state == "unknown":
        known = f"process {run.pid} on {run.host}" if run else "it left no record of its process"
        return (
            f"this folder is locked by a run that cannot be checked from here: {known}. If you are sure that it has "
            f"ended, call `{sys.executable} -m snakemake --unlock` and start again; finished results stay."
        )
    print(f"an earlier run (process {run.pid}) was interrupted; removing its lock", file=sys.stderr)
    for path in Path(folder, LOCKS).glob("*.lock"):
        path.unlink(missing_ok=True)
    return None


def _hold(path: Path) -> bool:
    """Hold a file until this process ends; return False when another process holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    stream = path.open("a", encoding="utf-8")
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        stream.close()
        return False
    except OSError:  # a file system without locks; the records remain
        pass
    _holding[path] = stream
    return True


def _record_start(folder: str | os.PathLike[str]) -> None:
    """Record that this process runs the workflow in `folder`, which no other run holds, and remove older records."""
    for old in _runs(folder):
        if old.state != "alive":
            _record(folder, old).unlink(missing_ok=True)
    run = Run(os.getpid(), *(_start_of(os.getpid()) or (0.0, 0.0)), _host())
    with atomic_path(_record(folder, run)) as partial:
        partial.write_text(json.dumps(asdict(run)), encoding="utf-8")


def _runs(folder: str | os.PathLike[str]) -> list[Run]:
    """Return the runs in the records; incomplete records and those of other versions are ignored."""
    runs = []
    for path in sorted(Path(folder, RECORDS).glob("*.json")):
        # a run that ends meanwhile removes its record
        with contextlib.suppress(ValueError, TypeError, OverflowError, OSError):
            run = Run(**json.loads(path.read_text(encoding="utf-8")))
            runs.append(Run(int(run.pid), float(run.started), float(run.uptime), str(run.host)))
    return runs


def _record(folder: str | os.PathLike[str], run: Run) -> Path:
    return Path(folder, RECORDS, f"{run.host}-{run.pid}.json")


def _host() -> str:
    return platform.node().split(".")[0]


def _start_of(pid: int) -> tuple[float, float] | None:
    """Return `started` and `uptime` of a process, or None when there is none or it is a zombie."""
    try:
        process = psutil.Process(pid)
        created = process.create_time()
        return None if process.status() == psutil.STATUS_ZOMBIE else (created, created - psutil.boot_time())
    except (psutil.Error, ValueError, OverflowError):
        return None
