"""Finds before the first job what the machine lacks for a run: room on the disk, or memory."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from pathlib import Path

import psutil

from sparse_attention.data.registry import open_dataset
from sparse_attention.data.sources.path import resolve
from sparse_attention.errors import InputError
from sparse_attention.files.room import shortage
from sparse_attention.models.limits import Limits, limits_of
from sparse_attention.settings.paths import RUN
from sparse_attention.settings.plan import Plan

BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}
CGROUP = Path("/sys/fs/cgroup/memory.max")
MEBIBYTE = 2**20


def missing_disk(plan: Plan, folder: Path = Path()) -> str | None:
    """Return that the disk has too little room for the queries and keys that are still to be extracted, or None.

    Each split is counted with all the examples that are asked for; a short corpus has fewer. Nothing is known of a
    model that is not retrieved yet; the job that extracts then checks the room itself.

    Parameters
    ----------
    plan : Plan
        The run.
    folder : Path
        Folder of the workflow's results and resources.
    """
    limits = None if plan.from_dump else _limits(plan, folder)
    if limits is None or not (limits.layers and limits.heads and limits.head_dim):
        return None
    options = plan.config["extract_qk"]
    number = (
        2 * BYTES[options["dtype"]] * limits.layers * limits.heads * limits.head_dim * plan.config["blocks"]["length"]
    )
    needed = sum(
        number * options["examples"][split]
        for run in plan.runs
        for split in ("train", "validation")
        if not (folder / f"results/qk/{RUN}/{split}/qk.json".format(**plan.context, **run)).exists()
    )
    problem = shortage(folder / "results/qk", needed)
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
    have = memory() / MEBIBYTE if total is None else total
    over = {rule: value for rule, value in asked.items() if value > have}
    if not over:
        return None
    rule = max(over, key=lambda name: over[name])
    others = f", and {len(over) - 1} other rules more than there is" if len(over) > 1 else ""
    return (
        f"{rule} may need {over[rule]:.0f} MiB of memory{others}, but this machine has {have:.0f} MiB: "
        f"{over[rule] - have:.0f} MiB are missing; see Out of memory in docs/troubleshooting.md"
    )


def memory() -> float:
    """Return the bytes of memory that this process and its children may use together."""
    limit = math.inf
    with contextlib.suppress(OSError, ValueError):
        limit = int(CGROUP.read_text(encoding="ascii"))
    return min(limit, psutil.virtual_memory().total)


def _limits(plan: Plan, folder: Path) -> Limits | None:
    """Return the limits of the language model, or None while its folder is not there or cannot be read."""
    source = plan.model
    assert source is not None
    with contextlib.suppress(InputError, OSError):
        if source.entry["source"]["type"] == "path":
            return limits_of(resolve(source.entry["source"]["path"])[0])
        return limits_of(open_dataset(folder / source.receipt, verify=False).root)
    return None
