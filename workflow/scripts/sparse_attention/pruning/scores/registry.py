"""Find importance scores by parsing their source, so that the driver knows their names without importing torch."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING

from sparse_attention.errors import InputError
from sparse_attention.jobs.plugins import Plugin, find_plugins

if TYPE_CHECKING:
    from sparse_attention.pruning.scores.base import Score

FOLDER = Path(__file__).parent
NOT_SCORES = ("base", "registry")
LITERALS = ("name", "meaning", "order")


@functools.cache
def discover(folder: Path = FOLDER) -> dict[str, Plugin]:
    """Return every importance score in `folder` by name, in its `order`, without importing one.

    Raises
    ------
    InputError
        When a file cannot be parsed, a value of `LITERALS` is missing or no literal, or two scores share a name.
    """
    found = find_plugins(folder, LITERALS, NOT_SCORES)
    for plugin in found.values():
        missing = [name for name in LITERALS if name not in plugin.declared]
        if missing:
            text = f"{plugin.class_name} lacks {', '.join(missing)}"
            raise InputError(f"{plugin.module}: {text}; allowed: a class with {', '.join(LITERALS)}")
    return dict(sorted(found.items(), key=lambda item: item[1].declared["order"]))


def create(name: str) -> Score:
    """Import the importance score `name`, one of those that `discover` finds, and return an instance."""
    return discover()[name].load()()
