"""What every published table declares, and how it is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from sparse_attention.files.tables import read_table
from sparse_attention.jobs.file_lists import FileList
from sparse_attention.summaries import latex
from sparse_attention.summaries.reading import read_runs


@dataclass(frozen=True)
class Inputs:
    """What a table is made from.

    Attributes
    ----------
    tables : mapping of str to path
        The published tables of `Table.tables`, by name.
    files : mapping of str to FileList
        The files of each kind of `Table.needs`.
    """

    tables: Mapping[str, str]
    files: Mapping[str, FileList]

    def table(self, name: str) -> pd.DataFrame:
        """Read a published table."""
        return read_table(self.tables[name])

    def rows(self, kind: str, columns: Sequence[str] = ()) -> pd.DataFrame:
        """Read all files of a kind into one table, each row with what is known of its file in front.

        Raises
        ------
        InputError
            When one of them is no table, or lacks one of `columns`.
        """
        files = self.files[kind]
        return read_runs(files.paths, files.runs, columns)


class Table:
    """A published table.

    Its attributes are read without running the file, so they must be literals of the class itself.

    Attributes
    ----------
    name : str
        The stem of its file in `results/tables/`.
    title, caption : str
        What readers see; the caption is plain reStructuredText, words and double backticks. In the title, `{here}`
        stands for the window and the kept tokens that the report shows.
    section : str
        Its section of results/report.html, one of `registry.SECTIONS`.
    category : str
        Its category in Snakemake's own report.
    order : int
        Its place among the tables of its section: lower numbers come first.
    needs : tuple of str
        The kinds of files that it is made from, of `settings.results.KINDS`. A run that makes none has no such table.
    tables : tuple of str
        The published tables that it is made from, by name.
    settings : tuple of str
        Dotted keys of the configuration that `make` and `to_latex` read.
    large : bool
        Whether the report names it only and does not show it.
    left_out : tuple of str
        Columns that the report does not show; `*` stands for anything.
    folded : str
        Words to click on, when the report shows the table only then.
    latex : bool
        Whether it is written as LaTeX too.
    made_by : str
        The rule that makes it: `summarise`, which calls `make`, or one that makes several tables from one reading.
    timed : bool
        Whether it holds times, which differ from run to run: then it lies in `results/timings/`.
    """

    name: str = ""
    title: str = ""
    caption: str = ""
    section: str = ""
    category: str = ""
    order: int = 0
    needs: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    large: bool = False
    left_out: tuple[str, ...] = ()
    folded: str = ""
    latex: bool = False
    made_by: str = "summarise"
    timed: bool = False

    def make(self, inputs: Inputs, setting: Mapping[str, Any]) -> pd.DataFrame:
        """Make the table.

        Parameters
        ----------
        inputs : Inputs
            What `needs` and `tables` name.
        setting : mapping
            The values of `settings` by dotted key.

        Raises
        ------
        NotImplementedError
            When a rule of its own makes the table.
        """
        raise NotImplementedError(f"{self.name} is made by {self.made_by}")

    def to_latex(self, table: pd.DataFrame, setting: Mapping[str, Any]) -> str:
        """Return the table as LaTeX: every row and column, unless a class says otherwise."""
        return latex.plain(table, self.name)
