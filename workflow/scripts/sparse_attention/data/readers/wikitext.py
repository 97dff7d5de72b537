"""Reads corpora in the raw layout of WikiText."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from sparse_attention.data.cells import BadCell, text_of
from sparse_attention.data.documents import Document, Reading
from sparse_attention.data.files import read_lines, some_of, suffix_of
from sparse_attention.data.readers.base import TextReader, names_of
from sparse_attention.data.rows import read_rows
from sparse_attention.errors import InputError

ROWS = (".parquet", ".jsonl", ".ndjson", ".arrow")
# a title has one "=" on each side, " = Title = "; a section has two or more with spaces between, " = = Section = = "
TITLE = re.compile(r"= [^=\s](?:.*[^=\s])? =$")
HEADING = re.compile(r"= = .* = =$")


class WikiText(TextReader):
    """Reads articles from lines of text, or from rows with a column `text`, that have headings like ` = Title = `.

    Section headings are left out; the text's own marks (such as `@-@`) are kept as they were published.
    """

    name = "wikitext"
    suffixes = (".raw", ".txt", ".tokens", *ROWS)

    def read(self, files: list[Path], reading: Reading) -> Iterator[Document]:
        """Yield the articles of all files; raise `InputError` when there is no title in them."""
        identity, title, number = "", "", 0
        body: list[str] = []
        # an article may continue in the next file, because shards are cut by size
        for file, name in zip(files, names_of(files), strict=True):
            lines = _column(file, "text") if suffix_of(file) in ROWS else read_lines(file)
            for line in map(str.strip, lines):
                if TITLE.match(line):
                    if identity:
                        yield Document(identity, title, "\n".join(body))
                    number += 1
                    identity, title, body = f"{name}#{number}", line[1:-1].strip(), []
                elif line and not HEADING.match(line):
                    body.append(line)
            number = 0
        if not identity:
            text = "has no line like ' = Title = ', so it is not in WikiText's raw layout; try format: text"
            raise InputError(f"{some_of(files)}: {text}")
        yield Document(identity, title, "\n".join(body))


def _column(file: Path, name: str) -> Iterator[str]:
    for number, row in enumerate(read_rows(file, [name]), start=1):
        try:
            yield text_of(row[name], name) or ""
        except BadCell as problem:
            raise InputError(f"{file}: row {number}: {problem}; allowed: {problem.allowed}") from None
