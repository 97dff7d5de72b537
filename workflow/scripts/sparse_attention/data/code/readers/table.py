"""Reads labelled functions from tables of all formats that `data.rows` reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sparse_attention.data.cells import BadCell, as_python, name_of, text_of, whole_characters
from sparse_attention.data.code.functions import Function, Intake, label_of
from sparse_attention.data.code.readers.base import CodeReader
from sparse_attention.data.rows import READERS, read_rows
from sparse_attention.files.yaml_values import shown


@dataclass(frozen=True)
class Table(CodeReader):
    """Reads a function from each row of a table; its label is 1 when any of its label columns is 1.

    All kinds of line ends become newlines, so that lines are counted in the same way on every system.

    Attributes
    ----------
    text_column : str
        Name of the column with the source of a function.
    label_columns : sequence of str
        Names of the columns with labels, at least one.
    project_column, path_column, rule_column : str, optional
        Names of the columns with a function's project, its path in it, and the rule that found its defect.
    """

    name = "table"
    options = {
        "text_column": {"type": "string", "minLength": 1},
        "label_columns": {
            "type": "array",
            "minItems": 1,
            "uniqueItems": True,
            "items": {"type": "string", "minLength": 1},
        },
        "project_column": {"type": "string", "minLength": 1},
        "path_column": {"type": "string", "minLength": 1},
        "rule_column": {"type": "string", "minLength": 1},
    }
    suffixes = tuple(READERS)

    text_column: str = "functionSource"
    label_columns: Sequence[str] = ("label",)
    project_column: str | None = None
    path_column: str | None = None
    rule_column: str | None = None

    def read(self, files: Mapping[str, list[Path]], intake: Intake) -> Iterator[Function]:
        """Yield the functions of all rows.

        Parameters
        ----------
        files : mapping
            Tables by split; under "" when the data set does not name splits.
        intake : Intake
            Counts or refuses rows without text, with labels other than 0 and 1, or with bytes that are not UTF-8.

        Raises
        ------
        InputError
            When a column is missing, a file is damaged, or `intake` refuses a row.
        """
        text, labels = self.text_column, self.label_columns
        given = {"project": self.project_column, "path": self.path_column, "rule": self.rule_column}
        extra = {name: column for name, column in given.items() if column is not None}
        for split, paths in files.items():
            for path in paths:
                for number, row in enumerate(read_rows(path, [text, *labels, *extra.values()]), start=1):
                    intake.read += 1
                    try:
                        source, label = _source(row[text], text), max(_label(row[name], name) for name in labels)
                        names: dict[str, Any] = {
                            name: _whole(name_of(row[column], column)) for name, column in extra.items()
                        }
                    except BadCell as problem:
                        intake.bad(f"{path}: row {number}", str(problem), problem.allowed)
                        continue
                    source, replaced = whole_characters(source)
                    intake.mend("kept, with half a character replaced", min(replaced, 1))
                    if "project" in names and not names["project"]:
                        intake.mend("kept without a project, to be split apart from all others")
                    yield Function(source, label, split=split, **names)


def _source(cell: object, column: str) -> str:
    source = text_of(cell, column)
    if source is None or not source.strip():
        raise BadCell(f"{column} is empty", "the text of a function")
    return source.replace("\r\n", "\n").replace("\r", "\n")


def _label(cell: object, column: str) -> int:
    label = label_of(as_python(cell))
    if label is None:
        raise BadCell(f"{column} is not a label ({shown(as_python(cell))})", "0 or 1")
    return label


def _whole(text: str) -> str:
    return whole_characters(text)[0]
