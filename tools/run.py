"""Start Snakemake after checking that it can read the configuration and that no other run uses this folder.

The lock of an earlier run is removed if the process of that run no longer exists.

Usage: python tools/run.py --cores all [any other arguments of snakemake]
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow" / "scripts"))
from sparse_attention.jobs import caches, lock
from sparse_attention.settings import command_line

SNAKEMAKE = [sys.executable, "-m", "snakemake"]
DRY = {"-n", "--dry-run", "--dryrun"}


def main(arguments: list[str]) -> int:
    """Check the configuration and the lock, then replace this process by Snakemake; return 1 if a check fails."""
    problems = command_line.problems_of(arguments)
    if problems:
        print("\n  ".join(["the configuration cannot be read:", *problems]), file=sys.stderr)
        return 1
    if not DRY.intersection(arguments):
        problem = clear_lock(arguments)
        if problem:
            print(problem, file=sys.stderr)
            return 1
        lock.record_start()
    caches.provide()
    # Snakemake takes over this process, so that it has the recorded process id and receives Ctrl-C
    os.execv(sys.executable, [*SNAKEMAKE, *arguments])


def clear_lock(arguments: list[str]) -> str | None:
    """Remove the lock of a dead run in the current folder; return a reason not to start, or None."""
    owner = lock.owner()
    state = owner.state if owner else "unknown"
    if owner and state == "alive":
        return (
            f"another run is active in this folder: process {owner.pid}. Wait for it, or stop it with Ctrl-C in its "
            f"terminal (or `kill {owner.pid}`)."
        )
    if not lock.is_locked():
        return None
    if state == "unknown":
        known = f"process {owner.pid} on {owner.host}" if owner else "it left no record of its process"
        return (
            f"this folder is locked by a run that cannot be checked from here: {known}. If you are sure that it "
            f"has ended, unlock with\n  {sys.executable} -m snakemake --unlock\nand start again; finished results stay."
        )
    working = " ".join(map(str, lock.working_scripts()))
    if working:
        return f"jobs of an interrupted run are still active; wait for them, or end them with `kill {working}`."
    print(f"an earlier run (process {owner.pid}) was interrupted; removing its lock", file=sys.stderr)  # type: ignore[union-attr]
    if subprocess.run([*SNAKEMAKE, *arguments, "--unlock"], check=False).returncode:
        return "the lock could not be removed: see the message above."
    lock.forget_dead()
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
