"""Finds figures by reading their source, so that the driver knows them without importing matplotlib."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sparse_attention.jobs.published import Published, chosen, find_published, literals_of

if TYPE_CHECKING:
    from sparse_attention.plotting.base import Plot

FOLDER = Path(__file__).parent / "figures"
SECTIONS = (
    "corpus",
    "models",
    "gold",
    "predictors",
    "metrics",
    "windows",
    "computation",
    "timings",
    "sparse_mlm",
    "heads",
    "distances",
    "buckets",
    "deviations",
    "projections",
    "code",
    "pruning",
)
"""Sections of the report that show figures, in its order."""


@dataclass(frozen=True, kw_only=True)
class FigureInfo(Published):
    """What the workflow must know of a figure before any job runs; `base.Plot` explains the attributes."""

    needs: tuple[str, ...]
    may_be_empty: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    subject: tuple[str, str] = ("corpus", "model")
    condition: str = ""
    explored: tuple[str, ...] = ()


REQUIRED, OPTIONAL = literals_of(FigureInfo)


@functools.cache
def discover(folder: Path = FOLDER) -> dict[str, FigureInfo]:
    """Return every figure in `folder` by name, in the order of the report; `InputError` as `find_published` says."""
    return find_published(folder, FigureInfo, "figure", SECTIONS)


def create(name: str) -> Plot:
    """Import the figure `name` and return it; `InputError` when there is none."""
    return chosen(discover(), name, "figure").load()()
