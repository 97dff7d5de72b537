"""Finds before the first job what the machine lacks for a run: room on the disk, or memory."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from sparse_attention.errors import reason
from sparse_attention.files.room import shortage
from sparse_attention.settings import machine
from sparse_attention.settings.estimate import Estimate, estimate
from sparse_attention.settings.plan import Plan

MEBIBYTE = 2**20


def forecast(plan: Plan, folder: Path = Path()) -> tuple[str, str | None]:
    """Return in one line what a run takes, and that the disk has too little room for it, or None.

    Never raises, because no run depends on what is estimated. A run that starts from an archive is not estimated: the
    first text is empty then.

    Parameters
    ----------
    plan : Plan
        The run.
    folder : Path
        Folder of the workflow's results and resources.
    """
    if plan.bundle:
        return "", None
    try:
        found = estimate(plan, folder)
        return found.line, missing_disk(found, folder)
    except Exception as error:
        return f"storage and time cannot be estimated: {type(error).__name__}: {reason(error)}", None


def missing_disk(found: Estimate, folder: Path = Path()) -> str | None:
    """Return that the disk has too little room for the results that are still to be made, or None.

    It is a warning, not an error: the estimate counts all the examples and functions that are asked for, and a short
    corpus has fewer. The jobs that write the largest files check the room for them and refuse to start without it.
    Nothing is known of a dump, or of a model that is not retrieved yet, unless the registry has its dimensions.

    Parameters
    ----------
    found : Estimate
        What the run takes.
    folder : Path
        Folder of the workflow's results and resources.
    """
    problem = shortage(folder / "results", sum(found.missing.values()))
    return problem and f"{problem}; free some space, lower extract_qk.examples, or choose extract_qk.dtype: float16"


def missing_memory(asked: Mapping[str, float], total: float | None = None) -> str | None:
    """Return that this machine has less memory than a job asks for, or None.

    Parameters
    ----------
    asked : mapping of str to float
        Memory by rule, in MiB.
    total : float, optional
        Memory of the machine in MiB; by default it is looked up.
    """
    have = machine.memory() / MEBIBYTE if total is None else total
    over = {rule: value for rule, value in asked.items() if value > have}
    if not over:
        return None
    rule = max(over, key=lambda name: over[name])
    others = f", and {len(over) - 1} other rules more than there is" if len(over) > 1 else ""
    return (
        f"{rule} may need {over[rule]:.0f} MiB of memory{others}, but this machine has {have:.0f} MiB: "
        f"{over[rule] - have:.0f} MiB are missing; see Out of memory in docs/troubleshooting.md"
    )
