"""Turns a retrieved corpus into documents in train, validation and test."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import pandas as pd

from sparse_attention.data.documents import Document, DocumentRow, Reading, quantiles, read_documents
from sparse_attention.data.files import suffix_of
from sparse_attention.data.readers.base import TextReader
from sparse_attention.data.readers.registry import create
from sparse_attention.data.registry import Dataset
from sparse_attention.data.rows import saved_files
from sparse_attention.data.splits import SPLITS, Shares, split_documents
from sparse_attention.errors import InputError
from sparse_attention.files.atomic import atomic_path
from sparse_attention.files.plain import write_json
from sparse_attention.jobs.options import Options

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PrepareOptions(Options):
    """The configuration's `prepare`.

    Attributes
    ----------
    min_characters : int
        Shorter documents are left out; from 0 on.
    max_documents : int, optional
        The most documents, from 3 on; None: all.
    split : Shares
        The shares of the splits.
    """

    min_characters: int
    max_documents: int | None
    split: Shares

    @classmethod
    def of(cls, section: Mapping[str, Any]) -> Self:
        """Return the options in the section `prepare`."""
        return super().of({**section, "split": Shares.of(section["split"])})


def prepare(
    dataset: Dataset, documents: Path, splits: Path, entry: Mapping[str, Any], options: PrepareOptions
) -> pd.DataFrame:
    """Write the documents of a corpus and their split; return the statistics of each split.

    Parameters
    ----------
    dataset : Dataset
        The retrieved corpus.
    documents : Path
        The file of JSON lines to write: id, title, split, text (and revision for wikis), in source order.
    splits : Path
        The JSON file to write: the shares, the seed and each split's ids.
    entry : mapping
        The corpus's own settings: `format` and the options of its reader.
    options : PrepareOptions

    Raises
    ------
    InputError
        When a file cannot be read, no document is left, or there are fewer documents than splits.
    """
    reader = create(entry["format"], entry)
    files = corpus_files(dataset, reader)
    reading = Reading(options.min_characters, options.max_documents)
    with atomic_path(documents) as target:
        # two passes over a file on disk, because the split needs all ids, but memory must not hold all texts
        unsplit = target.with_name(f"{target.name}-unsplit")
        try:
            ids, lengths = _write_unsplit(unsplit, reading.filter(reader.read(files, reading)))
            logger.info("%s: %s", dataset.name, reading.summary())
            reading.require_some(files)
            assigned = split_documents(ids, options.split)
            _write_split(unsplit, target, assigned)
        finally:
            unsplit.unlink(missing_ok=True)
    members = {name: [id_ for id_, split in zip(ids, assigned, strict=True) if split == name] for name in SPLITS}
    write_json(splits, {"shares": asdict(options.split), "splits": members}, ensure_ascii=False)
    return _statistics(assigned, lengths)


def corpus_files(dataset: Dataset, reader: TextReader) -> list[Path]:
    """Return the files with the suffixes of a reader; a single file is taken whatever its suffix."""
    found = [file for file in dataset.files if suffix_of(file) in reader.suffixes]
    if not found and len(dataset.files) == 1:
        found = dataset.files
    found, others = saved_files(found)
    if others:
        logger.info("%s: %d other files beside the saved data are not read", dataset.name, len(others))
    if not found:
        raise InputError(
            f"{dataset.root}: has no file of format {reader.name}; allowed: suffixes {', '.join(reader.suffixes)}"
        )
    return found


def _write_unsplit(path: Path, documents: Iterable[Document]) -> tuple[list[str], list[int]]:
    ids, lengths = [], []
    with open(path, "w", encoding="utf-8") as stream:
        for document in documents:
            stream.write(json.dumps(asdict(document), ensure_ascii=False) + "\n")
            ids.append(document.id)
            lengths.append(len(document.text))
    return ids, lengths


def _write_split(source: Path, target: Path, assigned: list[str]) -> None:
    with open(target, "w", encoding="utf-8") as stream:
        for row, split in zip(read_documents(source), assigned, strict=True):
            ordered: DocumentRow = {"id": row["id"], "title": row["title"], "split": split, "text": row["text"]}
            if row["revision"] is not None:
                ordered["revision"] = row["revision"]
            stream.write(json.dumps(ordered, ensure_ascii=False) + "\n")


def _statistics(assigned: list[str], lengths: list[int]) -> pd.DataFrame:
    rows = []
    for name in SPLITS:
        own = [length for length, split in zip(lengths, assigned, strict=True) if split == name]
        rows.append({"split": name, "documents": len(own), "characters": sum(own), **quantiles(own)})
    return pd.DataFrame(rows)
