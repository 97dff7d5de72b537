"""Writes and reads tidy tab-separated tables; equal numbers always give equal bytes."""

from __future__ import annotations

import os
from collections.abc import Iterable

import pandas as pd

from sparse_attention.errors import InputError, reason
from sparse_attention.files.atomic import atomic_path
from sparse_attention.files.plain import require_file


def write_table(frame: pd.DataFrame, path: str | os.PathLike[str]) -> None:
    """Write `frame` as TSV without its index, numbers with six significant digits, missing values empty."""
    with atomic_path(path) as partial:
        frame.to_csv(partial, sep="\t", index=False, float_format="%.6g", lineterminator="\n")


def read_table(path: str | os.PathLike[str], columns: Iterable[str] = ()) -> pd.DataFrame:
    """Read a table that `write_table` wrote; raise `InputError` when it is not one, or lacks one of `columns`.

    Only empty cells are read as missing; the text "none" in the column `keep` stays text.
    """
    try:
        frame = pd.read_csv(require_file(path), sep="\t", keep_default_na=False, na_values=[""])
    except InputError:
        raise
    except (OSError, ValueError, OverflowError) as error:
        raise InputError(f"{path}: not a table ({reason(error)}); allowed: UTF-8 text, tabs between columns") from None
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        raise InputError(f"{path}: columns {missing} are missing; found {list(frame.columns)}")
    return frame
