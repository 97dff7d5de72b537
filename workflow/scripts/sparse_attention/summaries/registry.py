"""Finds tables by reading their source, so that the driver knows them without importing pandas."""

from __future__ import annotations

import functools
import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sparse_attention.errors import InputError
from sparse_attention.jobs.plugins import find_plugins

if TYPE_CHECKING:
    from sparse_attention.summaries.base import Table

FOLDER = Path(__file__).parent / "tables"
REQUIRED = ("name", "title", "caption", "section", "category", "order")
OPTIONAL = ("needs", "tables", "settings", "large", "left_out", "folded", "latex", "made_by", "timed")
SECTIONS = (
    "corpus",
    "models",
    "gold",
    "predictors",
    "metrics",
    "windows",
    "points",
    "computation",
    "heads",
    "distances",
    "buckets",
    "deviations",
    "projections",
    "code",
    "baselines",
    "pruning",
)
"""Sections of the report that show tables, in its order."""


@dataclass(frozen=True)
class TableInfo:
    """What the workflow must know of a table before any job runs; `base.Table` explains the attributes.

    Attributes
    ----------
    module : str
        Dotted name of the module that defines it, for the digest of the code that a job runs.
    class_name : str
        Its class in that module.
    """

    module: str
    class_name: str
    name: str
    title: str
    caption: str
    section: str
    category: str
    order: int
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
        """Where it lies."""
        return f"results/{'timings' if self.timed else 'tables'}/{self.name}.tsv"


@functools.cache
def discover(folder: Path = FOLDER) -> dict[str, TableInfo]:
    """Return every table in `folder` by name, in the order in which the report tells them.

    Raises
    ------
    InputError
        When a file does not parse, a table lacks what the report needs or is made from nothing, or names a section that
        there is not.
    """
    found = []
    for name, plugin in find_plugins(folder, (*REQUIRED, *OPTIONAL)).items():
        place = f"{plugin.module}.{plugin.class_name}"
        missing = [key for key in REQUIRED if plugin.declared.get(key) in (None, "")]
        if missing:
            raise InputError(f"{place}: the table {name!r} lacks {', '.join(missing)}")
        if not plugin.declared.get("needs") and not plugin.declared.get("tables"):
            raise InputError(f"{place}: the table {name!r} is made from nothing; allowed: needs, tables or both")
        declared = plugin.declared | {"caption": " ".join(plugin.declared["caption"].split())}
        if declared["section"] not in SECTIONS:
            raise InputError(f"{place}.section: {declared['section']!r}; allowed: {', '.join(SECTIONS)}")
        found.append(TableInfo(plugin.module, plugin.class_name, **declared))
    return {info.name: info for info in sorted(found, key=lambda info: (SECTIONS.index(info.section), info.order))}


def create(name: str) -> Table:
    """Import the table `name` and return it."""
    info = discover().get(name)
    if info is None:
        raise InputError(f"{name}: no such table; allowed: {', '.join(discover())}")
    module = importlib.import_module(info.module)
    return getattr(module, info.class_name)()
