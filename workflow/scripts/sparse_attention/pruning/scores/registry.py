"""Finds importance scores by reading their source, so that the driver knows their names without importing torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sparse_attention.errors import InputError
from sparse_attention.jobs.plugins import Plugin, find_plugins

if TYPE_CHECKING:
    from sparse_attention.pruning.scores.base import Score

FOLDER = Path(__file__).parent
NOT_SCORES = ("base", "registry")
LITERALS = ("name", "meaning", "order")


def discover(folder: Path = FOLDER) -> dict[str, Plugin]:
    """Return every importance score in `folder` by name, in its `order`, without importing one.

    Raises
    ------
    InputError
        When a file does not parse, a literal is missing or is none, or two scores share a name.
    """
    found = find_plugins(folder, LITERALS, NOT_SCORES)
    for plugin in found.values():
        missing = [name for name in LITERALS if name not in plugin.declared]
        if missing:
            raise InputError(f"{plugin.module}: {plugin.class_name} lacks {', '.join(missing)}")
    return dict(sorted(found.items(), key=lambda item: item[1].declared["order"]))


def create(name: str) -> Score:
    """Import the importance score `name`, one of those that `discover` finds, and return it."""
    return discover()[name].load()()
