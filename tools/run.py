"""Start Snakemake with the arguments given, when it can read them and no other run is at work here.

The lock of an earlier run that is certainly dead is cleared.

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
    """Check the configuration and the lock, then become Snakemake; return an exit code only when that must not be."""
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
    # the same process goes on as Snakemake, so that the record's process id is its own and Ctrl-C reaches it
    os.execv(sys.executable, [*SNAKEMAKE, *arguments])


def clear_lock(arguments: list[str]) -> str | None:
    """Remove a dead run's lock in the current folder; return why not to start, or None."""
    owner = lock.owner()
    state = owner.state if owner else "unknown"
    if owner and state == "alive":
        return (
            f"another run is at work in this folder: process {owner.pid}. Wait for it, or stop it with Ctrl-C in its "
            f"terminal (or `kill {owner.pid}`)."
        )
    if not lock.is_locked():
        return None
    if state == "unknown":
        known = f"process {owner.pid} on {owner.host}" if owner else "it left no record of its process"
        return (
            f"this folder is locked by a run that cannot be checked from here: {known}. When you are sure that it is "
            f"over, unlock with\n  {sys.executable} -m snakemake --unlock\nand start again; nothing finished is lost."
        )
    working = " ".join(map(str, lock.working_scripts()))
    if working:
        return f"jobs of a run that was cut off are still at work; wait for them, or end them with `kill {working}`."
    print(f"an earlier run (process {owner.pid}) was cut off; removing its lock", file=sys.stderr)  # type: ignore[union-attr]
    if subprocess.run([*SNAKEMAKE, *arguments, "--unlock"], check=False).returncode:
        return "the lock could not be removed: see the message above."
    lock.forget_dead()
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
