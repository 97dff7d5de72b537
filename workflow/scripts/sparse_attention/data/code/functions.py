"""Labelled functions, the counts of those that are left out, and the file that functions are stored in."""

from __future__ import annotations

import collections
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from sparse_attention.errors import InputError, reason
from sparse_attention.files.atomic import atomic_path

COLUMNS = ("functionSource", "label", "project", "path", "rule", "lines", "split")


@dataclass(frozen=True)
class Function:
    """A function of a program and whether it is defective.

    Attributes
    ----------
    source : str
        Its text, the column `functionSource`.
    label : int
        1 for a defect, 0 for none.
    project, path : str
        Its project and its file there. Functions without a project are assigned to splits one by one.
    rule : str
        The names of the defects found in it, separated by commas; empty when they are not known.
    lines : tuple of int
        Lines of `source`, counted from 1, in which the defects are.
    split : str
        train, validation or test when the data set names splits, else empty.
    """

    source: str
    label: int
    project: str = ""
    path: str = ""
    rule: str = ""
    lines: tuple[int, ...] = ()
    split: str = ""


class Intake:
    """Counts the functions that were read, and those that were left out or changed, by reason.

    Parameters
    ----------
    bad_rows : str
        `refuse`: a row that cannot be used is an error; `drop`: such a row is left out and counted.
    """

    def __init__(self, bad_rows: str = "refuse") -> None:
        self.bad_rows = bad_rows
        self.dropped: collections.Counter[str] = collections.Counter()
        self.mended: collections.Counter[str] = collections.Counter()
        self.read = 0

    def bad(self, where: str, problem: str, allowed: str) -> None:
        """Count a row that cannot be used, or raise `InputError`, as `bad_rows` says.

        Parameters
        ----------
        where : str
            The file and the row, for the message.
        problem : str
            What is wrong; the reason under which the row is counted.
        allowed : str
            What is allowed, for the message.
        """
        if self.bad_rows == "refuse":
            raise InputError(
                f"{where}: {problem}; allowed: {allowed} (prepare_code.bad_rows: drop leaves such rows out)"
            )
        self.drop(problem)

    def drop(self, reason: str, count: int = 1) -> None:
        """Count functions that were read and left out for a reason."""
        if count:
            self.dropped[reason] += count

    def mend(self, what: str, count: int = 1) -> None:
        """Count functions that were changed and kept."""
        if count:
            self.mended[what] += count

    def add(self, other: Intake) -> None:
        """Add the counts of another intake."""
        self.read += other.read
        self.dropped.update(other.dropped)
        self.mended.update(other.mended)

    def summary(self) -> str:
        """Return how many functions were read and left out, and why, as a text."""
        reasons = ", ".join(f"{count} {reason}" for reason, count in _most_frequent_first(self.dropped))
        return f"{self.read} read" + (f"; left out: {reasons}" if reasons else "")

    def table(self) -> pd.DataFrame:
        """Return a table of `reason` and `functions`: the number read, then the reasons by falling frequency."""
        rows = [("read", self.read), *_most_frequent_first(self.dropped), *_most_frequent_first(self.mended)]
        return pd.DataFrame(rows, columns=["reason", "functions"])


def _most_frequent_first(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def label_of(value: object) -> int | None:
    """Return a label as 0 or 1; None for anything else, such as the float 0.0 or the text `0.0`."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int) and value in (0, 1):
        return value
    text = value.strip().lower() if isinstance(value, str) else None
    return {"0": 0, "1": 1, "false": 0, "true": 1}.get(text) if text is not None else None


def write_functions(functions: Iterable[Function], path: Path) -> None:
    """Write functions to a Parquet file with the columns `COLUMNS`."""
    import pyarrow
    from pyarrow import parquet

    rows = [_row(function) for function in functions]
    kinds = {"label": pyarrow.int8(), "lines": pyarrow.list_(pyarrow.int32())}
    schema = pyarrow.schema([(name, kinds.get(name, pyarrow.string())) for name in COLUMNS])
    with atomic_path(path) as partial:
        parquet.write_table(pyarrow.Table.from_pylist(rows, schema=schema), partial)


def read_functions(path: Path) -> Iterator[Function]:
    """Yield the functions that `write_functions` wrote; raise `InputError` when the file is not one of these."""
    import pyarrow
    from pyarrow import parquet

    try:
        rows = parquet.read_table(path).to_pylist()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; the rule prepare_code writes it") from None
    except (pyarrow.ArrowInvalid, OSError) as error:
        raise InputError(f"{path}: not a readable parquet file: {reason(error)}") from None
    for row in rows:
        missing = [name for name in COLUMNS if name not in row]
        if missing:
            raise InputError(f"{path}: columns {', '.join(missing)} are missing; allowed: {', '.join(COLUMNS)}")
        yield _function(row)


def _row(function: Function) -> dict[str, object]:
    return {**vars(function), "functionSource": function.source, "lines": list(function.lines)}


def _function(row: Mapping[str, Any]) -> Function:
    others = {name: row[name] for name in COLUMNS if name not in ("functionSource", "lines")}
    return Function(row["functionSource"], lines=tuple(row["lines"]), **others)
