"""Readers of text that is no wiki dump: plain files, WikiText's raw layout, tables with a column of text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from sparse_attention.data.cells import BadCell, name_of, text_of
from sparse_attention.data.documents import Document, Reading
from sparse_attention.data.files import read_lines, some_of, suffix_of
from sparse_attention.data.rows import read_rows
from sparse_attention.errors import InputError

PLAIN_SUFFIXES = (".txt", ".text", ".md")
ROW_SUFFIXES = (".parquet", ".jsonl", ".ndjson", ".arrow")
WIKITEXT_SUFFIXES = (".raw", ".txt", ".tokens", *ROW_SUFFIXES)
SEPARATOR = "---"
# one "=" on each side: " = Title = "; sections have two or more, set apart by spaces: " = = Section = = "
TITLE = re.compile(r"= [^=\s](?:.*[^=\s])? =$")
HEADING = re.compile(r"= = .* = =$")


def read_plain(files: list[Path], reading: Reading) -> Iterator[Document]:
    """Yield plain UTF-8 text, plain or compressed: a file is one document.

    A file with lines that hold only `---` is cut there into several. Ids are the file's path below the common folder,
    with `#number` when it is cut.
    """
    for file, name in zip(files, _names(files), strict=True):
        parts: list[list[str]] = [[]]
        for line in read_lines(file):
            if line.strip() == SEPARATOR:
                parts.append([])
            else:
                parts[-1].append(line.rstrip())
        for number, lines in enumerate(parts, start=1):
            body = "\n".join(lines).strip()
            if len(parts) == 1 or body:
                yield Document(name if len(parts) == 1 else f"{name}#{number}", Path(name).stem, body)


def read_wikitext(files: list[Path], reading: Reading) -> Iterator[Document]:
    """Yield the articles of WikiText's raw layout: lines, or rows of a column `text`, with ` = Title = ` headings.

    Section headings are left out; the text's own marks (such as `@-@`) are kept as they were published.
    """
    identity, title, number = "", "", 0
    body: list[str] = []
    # an article may go on in the next file: shards are cut by size
    for file, name in zip(files, _names(files), strict=True):
        lines = _column(file, "text") if suffix_of(file) in ROW_SUFFIXES else read_lines(file)
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
        raise InputError(f"{some_of(files)}: no line like ' = Title = '; not WikiText's raw layout, try format: text")
    yield Document(identity, title, "\n".join(body))


def read_table(files: list[Path], reading: Reading, column: str = "text") -> Iterator[Document]:
    """Yield the rows of parquet, JSON lines or a folder of `Dataset.save_to_disk`, one document a row.

    `title` and `id` are read when there are such columns; ids default to the file's path and the row's number.

    Raises
    ------
    InputError
        When the column is missing, or a cell of it is neither text nor missing.
    """
    for file, name in zip(files, _names(files), strict=True):
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


def _column(file: Path, name: str) -> Iterator[str]:
    for number, row in enumerate(read_rows(file, [name]), start=1):
        try:
            yield text_of(row[name], name) or ""
        except BadCell as problem:
            raise InputError(f"{file}: row {number}: {problem}; allowed: {problem.allowed}") from None


def _names(files: list[Path]) -> list[str]:
    """Return each file's path below the folder that all share, so that ids do not depend on where that folder lies."""
    parents = [set(file.parents) for file in files]
    common = max(set.intersection(*parents), key=lambda folder: len(folder.parts), default=Path()) if files else Path()
    return [file.relative_to(common).as_posix() for file in files]
