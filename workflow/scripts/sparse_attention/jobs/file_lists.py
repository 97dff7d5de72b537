"""Lists of files of one kind, with the settings that each was made with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class FileList:
    """Files of one kind, and the settings of each, such as attention and seed.

    Attributes
    ----------
    paths : sequence of str
        The files.
    runs : sequence of dict
        The settings of each file, in the same order.
    """

    paths: Sequence[str]
    runs: Sequence[dict[str, Any]]

    @classmethod
    def of(cls, runs: Mapping[str, dict[str, Any]]) -> FileList:
        """Return the list of the given files, settings by path."""
        return cls(list(runs), list(runs.values()))
