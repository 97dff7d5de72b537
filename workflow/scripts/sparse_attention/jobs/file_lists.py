"""Files of one kind, and what is known of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class FileList:
    """Files of one kind, and what is known of each, in the same order."""

    paths: Sequence[str]
    runs: Sequence[dict[str, Any]]

    @classmethod
    def of(cls, runs: Mapping[str, dict[str, Any]]) -> FileList:
        """Return files from what is known of each path."""
        return cls(list(runs), list(runs.values()))
