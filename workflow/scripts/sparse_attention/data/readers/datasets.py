"""Reads tables with a column of text, as the package `datasets` writes them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sparse_attention.data.cells import BadCell, name_of, text_of
from sparse_attention.data.documents import Document, Reading
from sparse_attention.data.readers.base import TextReader, names_of
from sparse_attention.data.rows import Row, read_rows
from sparse_attention.errors import InputError


@dataclass(frozen=True)
class Datasets(TextReader):
    """Reads one document from each row of Parquet, JSON lines or a folder of `Dataset.save_to_disk`.

    The columns `title` and `id` are read if there are any; else ids are made of the file's path and the row's number.
    An id or title that is neither text nor a whole number counts as missing, because only the text is needed.

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
                except BadCell as problem:
                    raise InputError(f"{file}: row {number}: {problem}; allowed: {problem.allowed}") from None
                if text is None:
                    reading.drop(f"no text in column {column}")
                else:
                    identity, title = (_name_in(row, key, reading) for key in ("id", "title"))
                    yield Document(identity or f"{name}#{number}", title, text.strip())


def _name_in(row: Row, column: str, reading: Reading) -> str:
    """Return the name in a cell; "" when it is missing, and when it is no name, which is counted."""
    try:
        return name_of(row.get(column), column)
    except BadCell:
        reading.mend(f"cells of {column} ignored because they are neither text nor whole numbers")
        return ""
