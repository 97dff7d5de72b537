"""Finds readers of labelled code by reading their source, without importing what they need."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sparse_attention.jobs.plugins import Plugin, find_plugins

if TYPE_CHECKING:
    from sparse_attention.data.code.readers.base import CodeReader

FOLDER = Path(__file__).parent


def discover(folder: Path = FOLDER) -> dict[str, Plugin]:
    """Return every reader in `folder` by name, in alphabetical order; `InputError` where one cannot be found out."""
    return find_plugins(folder, ["options"], ["base", "registry"])


def create(name: str) -> CodeReader:
    """Import the reader of the format `name`, one of those that `discover` finds, and return it."""
    return discover()[name].load()()
