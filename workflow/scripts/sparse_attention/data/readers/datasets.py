"""Reads tables with a column of text, as the package `datasets` writes them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sparse_attention.data.cells import BadCell, name_of, text_of
from sparse_attention.data.documents import Document, Reading
from sparse_attention.data.readers.base import TextReader, names_of
from sparse_attention.data.rows import read_rows
from sparse_attention.errors import InputError


@dataclass(frozen=True)
class Datasets(TextReader):
    """Reads one document from each row of Parquet, JSON lines or a folder of `Dataset.save_to_disk`.

    The columns `title` and `id` are read if there are any; else ids are made of the file's path and the row's number.

    Attributes
    ----------
    text_column : str
        Name of the column of text.
    """

    name = "datasets"
    options = {"text_column": {"type": "string", "minLength": 1}}
    suffixes = (".parquet", ".jsonl", ".ndjson", ".arrow")

    text_column: str = "text"

    def read(self, files: list[Path], reading: Reading) -> Iterator[Document]:
        """Yield the rows of all files.

        Raises
        ------
        InputError
            When a file lacks the column, or a cell of it is not text.
        """
        column = self.text_column
        for file, name in zip(files, names_of(files), strict=True):
            for number, row in enumerate(read_rows(file, [column], ("title", "id")), start=1):
                try:
                    text = text_of(row[column], column)
                    identity, title = (name_of(row.get(key), key) for key in ("id", "title"))
                except BadCell as problem:
                    raise InputError(f"{file}: row {number}: {problem}; allowed: {problem.allowed}") from None
                if text is None:
                    reading.drop(f"no text in column {column}")
                else:
                    yield Document(identity or f"{name}#{number}", title, text.strip())
