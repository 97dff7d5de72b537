"""Read the tables of single jobs, and add columns that identify the job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

import pandas as pd

from sparse_attention.files.tables import read_table
from sparse_attention.summaries.statistics import stack

Runs = Sequence[Mapping[str, Any]]
Paths = Sequence[str | PathLike[str]]


def read_runs(paths: Paths, runs: Runs, columns: Sequence[str]) -> pd.DataFrame:
    """Read tables into one.

    Parameters
    ----------
    paths : sequence of path
        The tables.
    runs : sequence of mapping
        For each table the columns that are put before its own, with their values, such as `seed`.
    columns : sequence of str
        Columns that each table must have.

    Raises
    ------
    InputError
        When a file is no table, or lacks one of `columns`.
    """
    frames = []
    for path, run in zip(paths, runs, strict=True):
        frame = read_table(path, columns)
        for position, (name, value) in enumerate(run.items()):
            frame.insert(position, name, value)
        frames.append(frame)
    return stack(frames, columns)
