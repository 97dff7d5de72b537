"""Reads the tables of single jobs, with what is known of each."""

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
    """Read the tables at `paths` into one, each row with what `runs` says of its file in front."""
    frames = []
    for path, run in zip(paths, runs, strict=True):
        frame = read_table(path, columns)
        for position, (name, value) in enumerate(run.items()):
            frame.insert(position, name, value)
        frames.append(frame)
    return stack(frames, columns)
