"""Labelled functions in tables: CSV, JSON lines and Parquet with a text column and label columns, and HDF5."""

from __future__ import annotations

import csv
import itertools
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from sparse_attention.data.code.functions import Function, Intake, label_of
from sparse_attention.data.files import open_bytes, suffix_of
from sparse_attention.errors import InputError

Row = Mapping[str, Any]
HDF5_ROWS = 1000  # read at once
EXTRA = ("project", "path", "rule")  # columns that a table may have as well


def read(files: Mapping[str, list[Path]], intake: Intake, options: Mapping[str, Any]) -> Iterator[Function]:
    """Yield the functions of all rows; a row is labelled 1 when any of its label columns is.

    Parameters
    ----------
    files : mapping
        Tables by split; the split "" when the data set does not say.
    intake : Intake
        Counts, or refuses, rows without text or with labels other than 0 and 1, and bytes that are not UTF-8.
    options : mapping
        `text_column` (functionSource), `label_columns` ([label]), and, where there are such, `project_column`,
        `path_column` and `rule_column`.

    Raises
    ------
    InputError
        When a column is missing, with the columns that there are; when a file is damaged; see `Intake.bad`.
    """
    text, labels = options.get("text_column", "functionSource"), options.get("label_columns", ["label"])
    extra = {name: options[f"{name}_column"] for name in EXTRA if f"{name}_column" in options}
    for split, paths in files.items():
        for path in paths:
            rows = READERS[suffix_of(path)](path, [text, *labels, *extra.values()])
            for number, row in enumerate(rows, start=1):
                intake.read += 1
                where = f"{path}: row {number}"
                source, values = _text(row[text]), [label_of(_plain(row[name])) for name in labels]
                if source is None:
                    intake.bad(where, f"{text} is not UTF-8", "UTF-8 text")
                elif not source.strip():
                    intake.bad(where, f"{text} is empty", "the text of a function")
                elif None in values:
                    wrong = labels[values.index(None)]
                    intake.bad(where, f"{wrong} is not a label ({row[wrong]!r})", "0 or 1")
                else:
                    project, path_in, rule = (_text(row[extra[name]]) or "" if name in extra else "" for name in EXTRA)
                    yield Function(source, int(any(values)), project, path_in, rule, (), split)


def _csv_rows(path: Path, columns: list[str]) -> Iterator[Row]:
    csv.field_size_limit(sys.maxsize)
    with open_bytes(path) as stream:
        # bytes that are no text survive to the row that holds them, which is then refused or left out
        lines = (line.decode("utf-8", "surrogateescape") for line in stream)
        first = next(lines, "").removeprefix("\ufeff")
        rows = csv.DictReader(itertools.chain([first], lines), strict=True)
        try:
            _require(path, columns, rows.fieldnames or [])
            for row in rows:
                if None in row or None in row.values():
                    raise InputError(
                        f"{path}: line {rows.line_num}: not as many cells as columns; allowed: a proper CSV"
                    )
                yield row
        except csv.Error as error:
            raise InputError(f"{path}: line {rows.line_num}: not CSV: {error}") from None


def _json_rows(path: Path, columns: list[str]) -> Iterator[Row]:
    with open_bytes(path) as stream:
        for number, line in enumerate(stream, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line.decode("utf-8", "surrogateescape"))
            except ValueError as error:
                raise InputError(f"{path}: line {number} is not JSON: {error}; allowed: one object a line") from None
            if not isinstance(row, dict):
                raise InputError(f"{path}: line {number} is not an object; allowed: one object a line")
            _require(path, columns, row)
            yield row


def _parquet_rows(path: Path, columns: list[str]) -> Iterator[Row]:
    import pyarrow
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as table:
            _require(path, columns, table.schema_arrow.names)
            for batch in table.iter_batches(columns=columns):
                yield from batch.to_pylist()
    except (pyarrow.ArrowInvalid, OSError) as error:
        raise InputError(f"{path}: not a readable parquet file: {error}") from None


def _hdf5_rows(path: Path, columns: list[str]) -> Iterator[Row]:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            _require(path, columns, list(file))
            total = len(file[columns[0]])
            for start in range(0, total, HDF5_ROWS):
                arrays = [file[name][start : start + HDF5_ROWS] for name in columns]
                yield from (dict(zip(columns, row, strict=True)) for row in zip(*arrays, strict=True))
    except OSError as error:
        raise InputError(f"{path}: not a readable HDF5 file: {error}") from None


READERS: dict[str, Callable[[Path, list[str]], Iterator[Row]]] = {
    ".csv": _csv_rows,
    ".jsonl": _json_rows,
    ".json": _json_rows,
    ".parquet": _parquet_rows,
    ".hdf5": _hdf5_rows,
    ".h5": _hdf5_rows,
}
SUFFIXES = tuple(READERS)


def _require(path: Path, wanted: list[str], found: Iterable[str]) -> None:
    names = list(found)
    missing = [name for name in wanted if name not in names]
    if missing:
        raise InputError(f"{path}: there is no column {', '.join(missing)}; its columns: {', '.join(names)}")


def _text(value: Any) -> str | None:
    """Return text, empty for nothing; None when its bytes are not UTF-8."""
    if value is None:
        return ""
    raw = value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogateescape")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _plain(value: Any) -> Any:
    """Return a number of numpy's as one of Python's."""
    return value.item() if hasattr(value, "item") else value
