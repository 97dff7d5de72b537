"""Finds figures by reading their source, so that the driver knows them without importing matplotlib."""

from __future__ import annotations

import functools
import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sparse_attention.errors import InputError
from sparse_attention.jobs.plugins import find_plugins

if TYPE_CHECKING:
    from sparse_attention.plotting.base import Plot

FOLDER = Path(__file__).parent / "figures"
REQUIRED = ("name", "title", "caption", "section", "category", "order", "needs")
OPTIONAL = ("may_be_empty", "settings", "subject", "condition")
SECTIONS = (
    "corpus",
    "models",
    "gold",
    "predictors",
    "metrics",
    "windows",
    "computation",
    "heads",
    "distances",
    "buckets",
    "deviations",
    "projections",
    "code",
    "pruning",
)
"""Sections of the report that show figures, in its order."""


@dataclass(frozen=True)
class FigureInfo:
    """What the workflow must know of a figure before any job runs; `base.Plot` explains the attributes.

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
    needs: tuple[str, ...]
    may_be_empty: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    subject: tuple[str, str] = ("corpus", "model")
    condition: str = ""


@functools.cache
def discover(folder: Path = FOLDER) -> dict[str, FigureInfo]:
    """Return every figure in `folder` by name, in the order in which the report tells them.

    Raises
    ------
    InputError
        When a file does not parse, a figure lacks what the report needs, or names a section that there is not.
    """
    found = []
    for name, plugin in find_plugins(folder, (*REQUIRED, *OPTIONAL)).items():
        place = f"{plugin.module}.{plugin.class_name}"
        missing = [key for key in REQUIRED if plugin.declared.get(key) in (None, "", ())]
        if missing:
            raise InputError(f"{place}: the figure {name!r} lacks {', '.join(missing)}")
        declared = plugin.declared | {"caption": " ".join(plugin.declared["caption"].split())}
        if declared["section"] not in SECTIONS:
            raise InputError(f"{place}.section: {declared['section']!r}; allowed: {', '.join(SECTIONS)}")
        found.append(FigureInfo(plugin.module, plugin.class_name, **declared))
    return {info.name: info for info in sorted(found, key=lambda info: (SECTIONS.index(info.section), info.order))}


def create_figure(name: str) -> Plot:
    """Import the figure `name` and return it."""
    info = discover().get(name)
    if info is None:
        raise InputError(f"{name}: no such figure; allowed: {', '.join(discover())}")
    module = importlib.import_module(info.module)
    return getattr(module, info.class_name)()
