"""Finds readers of text corpora by reading their source, without importing what they need."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparse_attention.data.reader import find_readers
from sparse_attention.jobs.plugins import Plugin

if TYPE_CHECKING:
    from sparse_attention.data.readers.base import TextReader

FOLDER = Path(__file__).parent


def discover(folder: Path = FOLDER) -> dict[str, Plugin]:
    """Return the readers in `folder` by name; see `find_readers`."""
    return find_readers(folder)


def create(name: str, section: Mapping[str, Any]) -> TextReader:
    """Return the reader of the format `name`, one that `discover` finds, with the options in `section`."""
    return discover()[name].load().of(section)
