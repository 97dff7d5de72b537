"""What the kinds of source share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

MEGABYTE = 1_000_000


class SourceError(Exception):
    """A source did not give what was asked of it: the text is the reason."""


@dataclass(frozen=True)
class Wanted:
    """A file to bring.

    Attributes
    ----------
    path : str
        Where it is inside its source.
    name : str
        Where it goes inside the data set's folder.
    sha256, git_sha1 : str, optional
        Checksums of the content, and of the content as a git blob (the hub's, for small files).
    size : int, optional
        In bytes.
    """

    path: str
    name: str
    sha256: str | None = None
    size: int | None = None
    git_sha1: str | None = None

    @classmethod
    def of(cls, record: dict[str, Any]) -> Wanted:
        """Make one from a registry entry's file; without a `name` the last part of `path` is taken."""
        name = record.get("name") or record["path"].rsplit("/", 1)[-1]
        return cls(record["path"], name, record.get("sha256"), record.get("size"))


def rename(folder: Path, item: Wanted) -> None:
    """Move a file in `folder` from its path inside the source to its name; `FileNotFoundError` when it is not there."""
    target = folder / item.name
    target.parent.mkdir(parents=True, exist_ok=True)
    (folder / item.path).replace(target)
