"""Documents, the filter that every text reader shares, and the file that documents are stored in."""

from __future__ import annotations

import collections
import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NotRequired, TypedDict, cast

import numpy as np

from sparse_attention.data.cells import whole_characters
from sparse_attention.data.files import some_of
from sparse_attention.data.splits import SPLITS
from sparse_attention.errors import InputError
from sparse_attention.files.plain import require_file

QUANTILES = {"min": 0, "q25": 0.25, "median": 0.5, "q75": 0.75, "max": 1}


@dataclass(frozen=True)
class Document:
    """A document of a corpus.

    Attributes
    ----------
    id : str
        Stable name within its source, such as a page id, a file's path or a row's number.
    title : str
        May be empty.
    text : str
        Clean prose, paragraphs separated by newlines.
    revision : str, optional
        Id of the revision, in wikis.
    """

    id: str
    title: str
    text: str
    revision: str | None = None


class Reading:
    """Filters the documents that a reader yields, and counts why others are left out.

    Parameters
    ----------
    min_characters : int
        Shorter documents are left out; from 0 on.
    max_documents : int, optional
        The most documents to keep; None: all.
    """

    def __init__(self, min_characters: int, max_documents: int | None) -> None:
        self.min_characters, self.max_documents = min_characters, max_documents
        self.dropped: collections.Counter[str] = collections.Counter()
        self.mended: collections.Counter[str] = collections.Counter()
        self.kept = 0

    def drop(self, reason: str) -> None:
        """Count a document, or a page without one, that was read and left out."""
        self.dropped[reason] += 1

    def mend(self, what: str, count: int = 1) -> None:
        """Count changes that made documents usable."""
        if count:
            self.mended[what] += count

    def filter(self, documents: Iterable[Document]) -> Iterator[Document]:
        """Yield the documents that are long enough and new, until there are `max_documents`.

        A document whose id was used before with another text gets a new id, because every wiki and every shard may
        count its ids from the start.
        """
        seen: dict[str, set[bytes]] = {}
        used: set[str] = set()
        for document in map(self._whole, documents):
            content = hashlib.sha256(document.text.encode()).digest()
            if content in seen.get(document.id, ()):
                self.drop("repeated")
            elif len(document.text) < self.min_characters:
                self.drop(f"shorter than prepare.min_characters ({self.min_characters})")
            else:
                if document.id in seen:
                    self.mend("ids changed because another document has the same")
                seen.setdefault(document.id, set()).add(content)
                while document.id in used:
                    document = replace(document, id=f"{document.id}#{content.hex()[:12]}")
                used.add(document.id)
                self.kept += 1
                yield document
                if self.kept == self.max_documents:
                    return

    def _whole(self, document: Document) -> Document:
        """Return a document without lone surrogates, so that it can be written to a file."""
        parts = {name: whole_characters(getattr(document, name)) for name in ("id", "title", "text")}
        self.mend("halves of characters replaced", sum(count for _, count in parts.values()))
        return replace(document, **{name: text for name, (text, _) in parts.items()})

    def summary(self) -> str:
        """Return how many documents were read, kept and left out, and why."""
        reasons = ", ".join(f"{number} {reason}" for reason, number in sorted(self.dropped.items()))
        read = self.kept + sum(self.dropped.values())
        mended = "".join(f"; {number} {what}" for what, number in sorted(self.mended.items()))
        return f"{read} read, {self.kept} kept" + (f"; left out: {reasons}" if reasons else "") + mended

    def require_some(self, files: Iterable[Path]) -> None:
        """Raise `InputError` when no document was kept."""
        if not self.kept:
            raise InputError(f"{some_of(files)}: no document is left: {self.summary()}")


class DocumentRow(TypedDict):
    """A line of `documents.jsonl`."""

    id: str
    title: str
    text: str
    split: NotRequired[str]
    revision: NotRequired[str | None]


def read_documents(path: Path) -> Iterator[DocumentRow]:
    """Yield the documents of a `documents.jsonl`; raise `InputError` at the first line that is not a document."""
    with open(require_file(path), "rb") as stream:
        for number, line in enumerate(stream, start=1):
            try:
                row = json.loads(line.decode("utf-8"))
            except (ValueError, RecursionError):
                row = None
            if not isinstance(row, dict) or not all(isinstance(row.get(name), str) for name in ("id", "title", "text")):
                text = "is not a document; allowed: JSON with id, title, split and text, as prepare writes"
                raise InputError(f"{path}: line {number} {text}")
            if row.get("split", SPLITS[0]) not in SPLITS:
                text = f"split {row['split']!r} is not allowed; allowed: {', '.join(SPLITS)}, as prepare writes"
                raise InputError(f"{path}: line {number}: {text}")
            yield cast(DocumentRow, row)


def quantiles(values: list[int]) -> dict[str, float | None]:
    """Return minimum, quartiles and maximum of `values` by name; None for each when `values` is empty."""
    return {name: float(np.quantile(values, share)) if values else None for name, share in QUANTILES.items()}
