"""Readers of text that is no wiki dump: plain files, WikiText's raw layout, tables with a column of text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from sparse_attention.data.documents import Document, Reading
from sparse_attention.data.files import read_lines, suffix_of
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
        lines = (row["text"] for row in _rows(file, "text")) if suffix_of(file) in ROW_SUFFIXES else read_lines(file)
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
        shown = ", ".join(map(str, files))
        raise InputError(f"{shown}: no line like ' = Title = '; not WikiText's raw layout, try format: text")
    yield Document(identity, title, "\n".join(body))


def read_rows(files: list[Path], reading: Reading, column: str = "text") -> Iterator[Document]:
    """Yield the rows of parquet, JSON lines or a folder of `Dataset.save_to_disk`, one document a row.

    `title` and `id` are read when there are such columns; ids default to the file's path and the row's number.
    """
    for file, name in zip(files, _names(files), strict=True):
        for number, row in enumerate(_rows(file, column), start=1):
            if not isinstance(row[column], str):
                reading.drop(f"no text in column {column}")
                continue
            identity = str(row["id"]) if row.get("id") is not None else f"{name}#{number}"
            yield Document(identity, str(row.get("title") or ""), row[column].strip())


def _names(files: list[Path]) -> list[str]:
    """Return each file's path below the folder that all share, so that ids do not depend on where that folder lies."""
    parents = [set(file.parents) for file in files]
    common = max(set.intersection(*parents), key=lambda folder: len(folder.parts), default=Path()) if files else Path()
    return [file.relative_to(common).as_posix() for file in files]


def _rows(file: Path, column: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of a table as dicts with `column`; JSON lines where the suffix says nothing else."""
    if suffix_of(file) == ".parquet":
        return _parquet_rows(file, column)
    if suffix_of(file) == ".arrow":
        return _arrow_rows(file, column)
    return _json_rows(file, column)


def _check_column(file: Path, column: str, columns: Iterable[str]) -> None:
    if column not in columns:
        raise InputError(f"{file}: there is no column {column!r}; its columns: {', '.join(sorted(columns))}")


def _parquet_rows(file: Path, column: str) -> Iterator[dict[str, Any]]:
    import pyarrow
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(file) as table:
            names = table.schema_arrow.names
            _check_column(file, column, names)
            for batch in table.iter_batches(columns=[name for name in (column, "title", "id") if name in names]):
                yield from batch.to_pylist()
    except (pyarrow.ArrowInvalid, OSError) as error:
        raise InputError(f"{file}: not a readable parquet file: {error}") from None


def _arrow_rows(file: Path, column: str) -> Iterator[dict[str, Any]]:
    import pyarrow

    try:
        with pyarrow.memory_map(str(file)) as source, pyarrow.ipc.open_stream(source) as table:
            _check_column(file, column, table.schema.names)
            for batch in table:
                yield from batch.to_pylist()
    except (pyarrow.ArrowInvalid, OSError) as error:
        raise InputError(f"{file}: not a readable Arrow stream: {error}") from None


def _json_rows(file: Path, column: str) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(read_lines(file), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise InputError(f"{file}: line {number} is not JSON: {error}; allowed: one object a line") from None
        if not isinstance(row, dict):
            raise InputError(f"{file}: line {number} is not an object; allowed: one object a line")
        _check_column(file, column, row)
        yield row
