"""Reads the rows of users' tables: CSV, JSON lines or an array, Parquet, Arrow, HDF5."""

from __future__ import annotations

import collections
import csv
import itertools
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

from sparse_attention.data.cells import SURROGATE
from sparse_attention.data.files import open_bytes, open_text, suffix_of
from sparse_attention.errors import InputError, reason
from sparse_attention.files.yaml_values import LONGEST

Row = dict[str, Any]
Read = Callable[[Path, Sequence[str], Sequence[str]], Iterator[Row]]
DESCRIPTIONS = ("state.json", "dataset_info.json", "dataset_dict.json")
HDF5_ROWS = 1000  # read at once
COLUMNS_SHOWN = 20
LIBRARY_ERRORS = (OSError, RuntimeError, KeyError, TypeError, ValueError, OverflowError, SystemError)
"""Errors that libraries raise for damaged files."""
ONE_OBJECT_A_LINE = "allowed: one object per line, or an array of objects"


def read_rows(path: Path, columns: Sequence[str], optional: Sequence[str] = ()) -> Iterator[Row]:
    """Yield the rows of a table as dictionaries.

    A cell has the type that its format gives it; the functions of `cells` read it. Text that is not UTF-8 comes as
    bytes. Rows are streamed, except those of a JSON array, which is held in memory.

    Parameters
    ----------
    path : Path
        The file. Its suffix, without that of a compression, decides the format: see `READERS`; any other is JSON.
    columns : sequence of str
        The columns that the table must have.
    optional : sequence of str
        Columns that are read too if the table has them.

    Raises
    ------
    InputError
        When the file is damaged, a column is missing or appears twice, or columns differ in length.
    """
    with open_bytes(path):  # the same error for a file that cannot be opened, whatever the format
        pass
    read = READERS.get(suffix_of(path), _json_rows)
    try:
        yield from read(path, list(dict.fromkeys(columns)), optional)
    except MemoryError:
        raise InputError(f"{path}: a part of it does not fit into memory; allowed: rows of ordinary size") from None


def saved_files(files: Iterable[Path]) -> tuple[list[Path], list[Path]]:
    """Separate the data files of saved data sets from other files that the package `datasets` writes.

    `state.json` names the data files of a folder that `save_to_disk` wrote. Without it, `cache-*.arrow` are caches.

    Returns
    -------
    data, others : list of Path

    Raises
    ------
    InputError
        When a `state.json` cannot be read, or names a file that is not there.
    """
    files = list(files)
    folders = {file.parent for file in files if file.suffix == ".arrow"}
    named = {folder: _named(folder) for folder in folders}

    def is_data(file: Path) -> bool:
        if file.suffix == ".arrow":
            names = named[file.parent]
            return not file.name.startswith("cache-") if names is None else file.name in names
        beside = file.parent in folders or any(folder.parent == file.parent for folder in folders)
        return not (file.name in DESCRIPTIONS and beside)

    return [file for file in files if is_data(file)], [file for file in files if not is_data(file)]


def _named(folder: Path) -> set[str] | None:
    state = folder / "state.json"
    if not state.is_file():
        return None
    try:
        names = {str(record["filename"]) for record in json.loads(state.read_bytes())["_data_files"]}
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{state}: not the state of a saved data set: {type(error).__name__} {error}") from None
    missing = sorted(name for name in names if not (folder / name).is_file())
    if missing:
        raise InputError(f"{state}: names {missing[0]}, which is missing; bring the whole folder")
    return names


def _csv_rows(path: Path, columns: Sequence[str], optional: Sequence[str]) -> Iterator[Row]:
    csv.field_size_limit(sys.maxsize)
    with open_text(path, newline="") as stream:
        rows = csv.reader(stream, strict=True)
        try:
            header = next(rows, [])
            _check_header(path, header)
            places = {name: header.index(name) for name in _present(path, columns, optional, header)}
            for cells in rows:
                if not cells:
                    continue
                if len(cells) != len(header):
                    text = f"{len(cells)} cells for {len(header)} columns"
                    raise InputError(f"{path}: line {rows.line_num}: {text}; allowed: as many cells as columns")
                yield {name: _undecoded(cells[place]) for name, place in places.items()}
        except csv.Error as error:
            raise InputError(f"{path}: line {rows.line_num}: not CSV: {error}") from None


def _check_header(path: Path, header: list[str]) -> None:
    wrong = [name for name in header if SURROGATE.search(name)]
    if wrong:
        shown_name = wrong[0].encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        raise InputError(f"{path}: line 1: the column '{shown_name[:LONGEST]}' is not UTF-8; allowed: UTF-8 text")


def _undecoded(cell: Any) -> Any:
    """Return text as bytes when it has surrogates, which stand for bytes that are not UTF-8; else the cell as it is."""
    if isinstance(cell, str) and not cell.isascii() and SURROGATE.search(cell):
        return cell.encode("utf-8", "surrogatepass")
    return cell


def _json_rows(path: Path, columns: Sequence[str], optional: Sequence[str]) -> Iterator[Row]:
    wanted = {*columns, *optional}
    with open_text(path) as stream:
        for place, text, row in _json_objects(path, stream, wanted):
            if not isinstance(row, dict):
                raise InputError(f"{path}: {place} is not an object; {ONE_OBJECT_A_LINE}")
            present = _present(path, columns, optional, list(row), f" in {place}")
            # a surrogate in the undecoded line was a byte; one from an escape such as \ud83d belongs to the text
            undecodable = not text.isascii() and SURROGATE.search(text)
            yield {name: _undecoded(row[name]) if undecodable else row[name] for name in present}


def _json_objects(path: Path, stream: TextIO, wanted: set[str]) -> Iterator[tuple[str, str, Any]]:
    """Yield each line's or array element's place for messages, the text it was parsed from, and its value."""
    lines = ((number, line) for number, line in enumerate(stream, start=1) if line.strip())
    first = next(lines, (0, ""))
    if first[1].lstrip().startswith("["):
        text = first[1] + stream.read()
        for element, value in enumerate(_parsed(path, "the array", text, wanted), start=1):
            yield f"element {element}", text, value
    elif first[1]:
        for number, line in itertools.chain([first], lines):
            yield f"line {number}", line, _parsed(path, f"line {number}", line, wanted)


def _parsed(path: Path, where: str, text: str, wanted: set[str]) -> Any:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        row = dict(pairs)
        if len(row) < len(pairs):
            counts = collections.Counter(key for key, _ in pairs)
            twice = sorted(key for key, count in counts.items() if count > 1 and key in wanted)
            if twice:
                raise InputError(f"{path}: {where}: {twice[0]} appears twice; allowed: once")
        return row

    try:
        return json.loads(text, object_pairs_hook=once)
    except InputError:
        raise
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: {where} is not JSON: {error}; {ONE_OBJECT_A_LINE}") from None


def _parquet_rows(path: Path, columns: Sequence[str], optional: Sequence[str]) -> Iterator[Row]:
    import pyarrow
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as table:
            names = _present(path, columns, optional, table.schema_arrow.names)
            for batch in table.iter_batches(columns=names):
                yield from _batch_rows(batch)
    except InputError:
        raise
    except (pyarrow.ArrowException, *LIBRARY_ERRORS) as error:
        raise InputError(f"{path}: not a readable parquet file: {reason(error)}") from None


def _arrow_rows(path: Path, columns: Sequence[str], optional: Sequence[str]) -> Iterator[Row]:
    import pyarrow

    try:
        with pyarrow.OSFile(str(path)) as source:  # with a memory map, damaged offsets would crash the process
            is_file = source.read(6) == b"ARROW1"
            source.seek(0)
            with (pyarrow.ipc.open_file if is_file else pyarrow.ipc.open_stream)(source) as table:
                names = _present(path, columns, optional, table.schema.names)
                batches = (table.get_batch(index) for index in range(table.num_record_batches)) if is_file else table
                for batch in batches:
                    yield from _batch_rows(batch.select(names))
    except InputError:
        raise
    except (pyarrow.ArrowException, *LIBRARY_ERRORS) as error:
        raise InputError(f"{path}: not a readable Arrow file: {reason(error)}") from None


def _batch_rows(batch: Any) -> Iterator[Row]:
    """Yield the rows of a record batch with text as bytes, so that text that is not UTF-8 affects only its own cell."""
    import pyarrow

    columns = {}
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        if pyarrow.types.is_dictionary(column.type):
            column.validate(full=True)
            column = column.dictionary_decode()
        if pyarrow.types.is_string(column.type) or pyarrow.types.is_large_string(column.type):
            column = column.cast(pyarrow.large_binary())
        # damaged offsets would be read outside of the buffer
        column.validate(full=True)
        columns[name] = column.to_pylist()
    yield from (dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True))


def _hdf5_rows(path: Path, columns: Sequence[str], optional: Sequence[str]) -> Iterator[Row]:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            names = _present(path, columns, optional, list(file))
            total = _check_hdf5(path, {name: file[name] for name in names})
            for start in range(0, total, HDF5_ROWS):
                arrays = [file[name][start : start + HDF5_ROWS].reshape(-1) for name in names]
                yield from (dict(zip(names, cells, strict=True)) for cells in zip(*arrays, strict=True))
    except InputError:
        raise
    except LIBRARY_ERRORS as error:
        raise InputError(f"{path}: not a readable HDF5 file: {reason(error)}") from None


def _check_hdf5(path: Path, columns: dict[str, Any]) -> int:
    """Return the number of rows; raise `InputError` when one is not a column, or columns differ in length."""
    import h5py

    lengths = {}
    for name, column in columns.items():
        if not isinstance(column, h5py.Dataset):
            raise InputError(f"{path}: {name} is a group; allowed: a column, of shape (rows,)")
        if column.shape is None or len(column.shape) not in (1, 2) or column.shape[1:] not in ((), (1,)):
            raise InputError(f"{path}: {name} has shape {column.shape}; allowed: a column, of shape (rows,)")
        lengths[name] = column.shape[0]
    if len(set(lengths.values())) > 1:
        counts = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise InputError(f"{path}: columns have different numbers of rows ({counts}); allowed: the same number in each")
    return next(iter(lengths.values()))


READERS: dict[str, Read] = {
    ".csv": _csv_rows,
    ".jsonl": _json_rows,
    ".ndjson": _json_rows,
    ".json": _json_rows,
    ".parquet": _parquet_rows,
    ".arrow": _arrow_rows,
    ".hdf5": _hdf5_rows,
    ".h5": _hdf5_rows,
}


def _present(
    path: Path, columns: Sequence[str], optional: Sequence[str], found: Sequence[str], where: str = ""
) -> list[str]:
    """Return the columns to read; raise `InputError` when a needed one is missing, or one appears twice."""
    missing = [name for name in columns if name not in found]
    if missing:
        there = ", ".join(map(str, found[:COLUMNS_SHOWN])) + (" …" if len(found) > COLUMNS_SHOWN else "")
        text = f"{path}: there is no column {', '.join(missing)}{where}; its columns: {there or 'none'}"
        separator = next((mark for mark in (";", "\t") if len(found) == 1 and mark in found[0]), None)
        raise InputError(text + (f"; cells are separated by {separator!r}, allowed: commas" if separator else ""))
    wanted = [*columns, *(name for name in optional if name in found)]
    for name in wanted:
        if list(found).count(name) > 1:
            raise InputError(f"{path}: the column {name} appears {list(found).count(name)} times; allowed: once")
    return list(dict.fromkeys(wanted))
