"""The class and helpers that all kinds of source share."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MEGABYTE = 1_000_000


class SourceError(Exception):
    """A source did not deliver the wanted files; the message says why."""


class RefusedError(SourceError):
    """A server refused a request for good; `status` is that of its answer."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True)
class Wanted:
    """A file to fetch.

    Attributes
    ----------
    path : str
        Its path in the source.
    name : str
        Its path in the data set's folder.
    sha256, md5, git_sha1 : str, optional
        Checksums of the content, and of the content as a git blob, which the hub gives for small files.
    size : int, optional
        In bytes.
    """

    path: str
    name: str
    sha256: str | None = None
    size: int | None = None
    git_sha1: str | None = None
    md5: str | None = None

    @property
    def is_checked(self) -> bool:
        """Whether there is a checksum."""
        return not (self.sha256 is self.md5 is self.git_sha1 is None)

    @classmethod
    def of(cls, record: dict[str, Any]) -> Wanted:
        """Return the file of a registry entry's record; without `name` the last part of `path` is its name."""
        name = record.get("name") or record["path"].rsplit("/", 1)[-1]
        return cls(record["path"], name, record.get("sha256"), record.get("size"))


def choose(files: list[Wanted] | None, held: Collection[str], place: str) -> list[Wanted]:
    """Return the wanted files, or all that a place holds where none are named.

    Raises
    ------
    SourceError
        When the place does not hold all of them, or nothing.
    """
    chosen = files if files is not None else [Wanted(path, path) for path in sorted(held)]
    absent = [item.path for item in chosen if item.path not in held]
    if absent or not chosen:
        raise SourceError(f"{place} has no {', '.join(absent) or 'files'}; it has {', '.join(held) or 'none'}")
    return chosen


def rename(folder: Path, item: Wanted) -> None:
    """Move a file in `folder` from its `path` to its `name`; raise `FileNotFoundError` when there is none."""
    target = folder / item.name
    target.parent.mkdir(parents=True, exist_ok=True)
    (folder / item.path).replace(target)
