"""Knows which processes run the workflow in a folder, so that only a dead run's lock is ever removed.

Snakemake's own lock names files, not processes. Beside it we keep one small record per run, which holds the process id
and what tells that process from a later one with the same id.
"""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

RECORDS = Path(".snakemake", "runs")
LOCKS = Path(".snakemake", "locks")
SCRIPTS = Path(".snakemake", "scripts")


@dataclass(frozen=True)
class Run:
    """A process that runs, or ran, the workflow.

    Attributes
    ----------
    pid : int
        Its process id.
    started : str
        When it started, as its system tells it: an id that came round again has another start.
    host : str
        The machine it runs on.
    """

    pid: int
    started: str
    host: str

    @property
    def state(self) -> str:
        """Whether it is `alive`, `dead`, or `unknown` because it runs, or ran, on another machine."""
        if self.host != _host():
            return "unknown"
        return "alive" if self.started and _started(self.pid) == self.started else "dead"


def record_start(folder: str | os.PathLike[str] = ".") -> None:
    """Record that this process runs the workflow in `folder`; records of dead runs go unless a lock may be theirs."""
    if not is_locked(folder):
        forget_dead(folder)
    run = Run(os.getpid(), _started(os.getpid()) or "", _host())
    path = _record(folder, run)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(asdict(run)), encoding="utf-8")
    os.replace(partial, path)


def record_end(folder: str | os.PathLike[str] = ".") -> None:
    """Remove this process's record."""
    _record(folder, Run(os.getpid(), "", _host())).unlink(missing_ok=True)


def owner(folder: str | os.PathLike[str] = ".") -> Run | None:
    """Return the run to reckon with in `folder`: a live one before an unknown one before a dead one."""
    by_state = {run.state: run for run in _runs(folder)}
    return by_state.get("alive") or by_state.get("unknown") or by_state.get("dead")


def is_locked(folder: str | os.PathLike[str] = ".") -> bool:
    """Return whether Snakemake's lock lies in `folder`."""
    return any(Path(folder, LOCKS).glob("*.lock"))


def working_scripts(folder: str | os.PathLike[str] = ".") -> list[int]:
    """Return the process ids of this user's script jobs in `folder`; they can outlive a run that was killed."""
    scripts = str(Path(folder, SCRIPTS).resolve())
    found = psutil.process_iter(["cmdline"])
    return [process.pid for process in found if any(part.startswith(scripts) for part in process.info["cmdline"] or ())]


def forget_dead(folder: str | os.PathLike[str] = ".") -> None:
    """Remove the records of dead runs."""
    for run in _runs(folder):
        if run.state == "dead":
            _record(folder, run).unlink(missing_ok=True)


def _runs(folder: str | os.PathLike[str]) -> list[Run]:
    paths = sorted(Path(folder, RECORDS).glob("*.json"))
    return [Run(**json.loads(path.read_text(encoding="utf-8"))) for path in paths]


def _record(folder: str | os.PathLike[str], run: Run) -> Path:
    return Path(folder, RECORDS, f"{run.host}-{run.pid}.json")


def _host() -> str:
    return platform.node().split(".")[0]


def _started(pid: int) -> str | None:
    """Return what tells when a process started, or None when there is no such process or only its zombie."""
    if Path("/proc/self/stat").exists():
        try:
            fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:
            return None
        boot = Path("/proc/sys/kernel/random/boot_id")
        # clock ticks since boot, which do not move when the clock is set
        return None if fields[0] in "ZX" else f"{boot.read_text().strip() if boot.exists() else ''} {fields[19]}"
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else repr(process.create_time())
    except psutil.Error:
        return None
