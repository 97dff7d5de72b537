"""Finds tables by reading their source, so that the driver knows them without importing pandas."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sparse_attention.errors import InputError
from sparse_attention.jobs.published import Published, chosen, find_published, literals_of

if TYPE_CHECKING:
    from sparse_attention.summaries.base import Table

FOLDER = Path(__file__).parent / "tables"
SECTIONS = (
    "corpus",
    "models",
    "gold",
    "predictors",
    "metrics",
    "windows",
    "points",
    "computation",
    "timings",
    "sparse_mlm",
    "heads",
    "distances",
    "buckets",
    "deviations",
    "projections",
    "code",
    "baselines",
    "pruning",
    "runtime",
)
"""Sections of the report that show tables, in its order."""


@dataclass(frozen=True, kw_only=True)
class TableInfo(Published):
    """What the workflow must know of a table before any job runs; `base.Table` explains the attributes."""

    needs: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    large: bool = False
    left_out: tuple[str, ...] = ()
    folded: str = ""
    latex: bool = False
    made_by: str = "summarise"
    timed: bool = False

    @property
    def path(self) -> str:
        """The file of the table, relative to the working directory."""
        return f"results/{'timings' if self.timed else 'tables'}/{self.name}.tsv"


REQUIRED, OPTIONAL = literals_of(TableInfo)


@functools.cache
def discover(folder: Path = FOLDER) -> dict[str, TableInfo]:
    """Return every table in `folder` by name, in the order of the report.

    Raises
    ------
    InputError
        As `find_published` says, and when the rule `summarise` would make a table from nothing.
    """
    found = find_published(folder, TableInfo, "table", SECTIONS)
    for name, info in found.items():
        if info.made_by == "summarise" and not info.needs and not info.tables:
            place = f"{info.module}.{info.plugin.class_name}"
            raise InputError(f"{place}: the table {name!r} is made from nothing; allowed: needs, tables or both")
    return found


def create(name: str) -> Table:
    """Import the table `name` and return it; `InputError` when there is none."""
    return chosen(discover(), name, "table").load()()
