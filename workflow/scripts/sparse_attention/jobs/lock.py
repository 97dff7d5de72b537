"""Records which processes run the workflow in a folder, so that only the lock of a dead run is removed.

Snakemake's lock names files, but no process. Each run therefore has a small record with its process id and start times,
which differ for a later process with the same id.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

RECORDS = Path(".snakemake", "runs")
LOCKS = Path(".snakemake", "locks")
SCRIPTS = Path(".snakemake", "scripts")
TICK = 0.02
"""Seconds by which two readings of one start time may differ: systems round to hundredths."""


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


def record_start(folder: str | os.PathLike[str] = ".") -> None:
    """Record that this process runs the workflow in `folder`, and remove records of dead runs if there is no lock."""
    if not is_locked(folder):
        forget_dead(folder)
    run = Run(os.getpid(), *(_start_of(os.getpid()) or (0.0, 0.0)), _host())
    path = _record(folder, run)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(asdict(run)), encoding="utf-8")
    os.replace(partial, path)


def record_end(folder: str | os.PathLike[str] = ".") -> None:
    """Remove this process's record."""
    _record(folder, Run(os.getpid(), 0.0, 0.0, _host())).unlink(missing_ok=True)


def owner(folder: str | os.PathLike[str] = ".") -> Run | None:
    """Return the run that may own the lock in `folder`: one that is alive, else an unknown one, else a dead one."""
    by_state = {run.state: run for run in _runs(folder)}
    return by_state.get("alive") or by_state.get("unknown") or by_state.get("dead")


def is_locked(folder: str | os.PathLike[str] = ".") -> bool:
    """Return whether `folder` has a lock of Snakemake."""
    return any(Path(folder, LOCKS).glob("*.lock"))


def working_scripts(folder: str | os.PathLike[str] = ".") -> list[int]:
    """Return the ids of processes that run scripts of `folder`; these can go on after their run was killed."""
    scripts = str(Path(folder, SCRIPTS).resolve())
    found = psutil.process_iter(["cmdline"])
    return [process.pid for process in found if any(part.startswith(scripts) for part in process.info["cmdline"] or ())]


def forget_dead(folder: str | os.PathLike[str] = ".") -> None:
    """Remove the records of dead runs."""
    for run in _runs(folder):
        if run.state == "dead":
            _record(folder, run).unlink(missing_ok=True)


def _runs(folder: str | os.PathLike[str]) -> list[Run]:
    """Return the runs in the records; incomplete records and those of other versions are ignored."""
    runs = []
    for path in sorted(Path(folder, RECORDS).glob("*.json")):
        with contextlib.suppress(ValueError, TypeError):
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
    except psutil.Error:
        return None
