"""Show a table of results in the terminal: python tools/show_table.py [NAME] [--where COLUMN=VALUE] [--sort COLUMN].

NAME is a table in results/tables or results/timings, without its ending, or the path of any table. Without a name the
tables are listed. `--where` keeps the rows that fulfil every condition: `sparsity>=0.9`, `predictor=kmeans`. Columns
with one value are shown once, above the rows, and those of intervals only with `--intervals`.
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import operator
import re
import shutil
import signal
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "workflow/scripts"))

import pandas as pd  # noqa: E402

from sparse_attention.errors import InputError  # noqa: E402
from sparse_attention.files.tables import read_table  # noqa: E402
from sparse_attention.files.yaml_values import shown  # noqa: E402

FOLDERS = (Path("results/tables"), Path("results/timings"))
CONDITION = re.compile(r"([^=<>!]+?)\s*(<=|>=|!=|=|<|>)\s*(.*)")
TRUTH = ("true", "false")
INTERVALS = ("_ci95", "_low", "_high")
COMPARISONS = {"=": operator.eq, "!=": operator.ne, "<": operator.lt, ">": operator.gt, "<=": operator.le,
               ">=": operator.ge}  # fmt: skip


def find_table(name: str) -> Path:
    """Return the path of a table by its name; raise `InputError`, with similar names, when there is none."""
    # a name may be too long for a path
    with contextlib.suppress(OSError, ValueError):
        if Path(name).is_file():
            return Path(name)
    found = {path.stem: path for folder in FOLDERS for path in sorted(folder.glob("*.tsv"))}
    if name in found:
        return found[name]
    near = difflib.get_close_matches(name, found, n=3) or sorted(found)
    raise InputError(
        f"table: {shown(name)} is not there; allowed: {', '.join(near) or 'none yet, start with `make run`'}"
    )


def read(path: Path) -> pd.DataFrame:
    """Return a table; raise `InputError` when it is none, or its rows have more cells than its header."""
    table = read_table(path)
    try:
        # beside a header, pandas takes the first cells of such rows for the names of the rows
        pd.read_csv(path, sep="\t", header=None, dtype=str)
    except pd.errors.ParserError:
        text = "a row has more cells than the header"
        raise InputError(f"{path}: not a table ({text}); allowed: a name for each column") from None
    return table


def column_of(table: pd.DataFrame, name: str, option: str) -> str:
    """Return the name of a column; raise `InputError` when the table has none of that name."""
    if name not in table:
        raise InputError(f"{option}: column {name!r} is not there; allowed: {', '.join(table)}")
    return name


def keep(table: pd.DataFrame, condition: str) -> pd.DataFrame:
    """Return the rows that fulfil a condition such as `sparsity>=0.9`; numbers are compared as numbers."""
    parts = CONDITION.fullmatch(condition.strip())
    if not parts:
        raise InputError(f"--where: {condition!r} is not allowed; allowed: COLUMN=VALUE, also with !=, <, >, <=, >=")
    values, wanted = table[column_of(table, parts[1], "--where")], parts[3]
    if pd.api.types.is_bool_dtype(values) and wanted.lower() in TRUTH:
        wanted = wanted.capitalize()
    if not pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
        return table[COMPARISONS[parts[2]](values.astype("string").fillna(""), wanted)]
    number = pd.to_numeric(wanted, errors="coerce")
    if pd.isna(number):
        raise InputError(f"--where: {wanted!r} is not allowed, because {parts[1]} has numbers; allowed: a number")
    return table[COMPARISONS[parts[2]](values, number)]


def select(table: pd.DataFrame, given: argparse.Namespace) -> pd.DataFrame:
    """Return the rows and columns that the command line asks for, sorted."""
    if given.reverse and not given.sort:
        raise InputError("--reverse: it reverses an order; allowed: with --sort COLUMN")
    for condition in given.where:
        table = keep(table, condition)
    if given.sort:
        column = column_of(table, given.sort, "--sort")
        table = table.sort_values(column, ascending=not given.reverse, kind="stable")
    if given.columns:
        return table[[column_of(table, name, "--columns") for name in dict.fromkeys(given.columns)]]
    return table if given.intervals else table[[name for name in table if not name.endswith(INTERVALS)]]


def as_text(table: pd.DataFrame, rows: int) -> str:
    """Return the first rows of a table as text; 0 for all."""
    first = table.head(rows) if rows else table
    if first.empty:
        return "no rows"
    same = [name for name in table if len(table) > 1 and table[name].nunique(dropna=False) == 1]
    if len(same) == table.shape[1]:
        same = []  # rows without any column would say nothing
    head = "; ".join(f"{name}: {table[name].iloc[0]}" for name in same if pd.notna(table[name].iloc[0]))
    width = shutil.get_terminal_size((160, 24)).columns
    text = first.drop(columns=same).to_string(
        index=False, na_rep="", line_width=width, max_colwidth=80, float_format="{:.4g}".format
    )
    count = f"{len(first)} of {len(table)} rows"
    return "\n".join([*([f"in all rows {head}"] if head else []), text, count])


def main() -> None:
    """Read the command line and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("name", nargs="?", help="name or path of a table; without it the tables are listed")
    parser.add_argument("--where", action="append", default=[], help="condition on a column; may be given again")
    parser.add_argument("--sort", help="column to sort by")
    parser.add_argument("--reverse", action="store_true", help="the largest first")
    parser.add_argument("--columns", nargs="+", default=[], help="columns to show")
    parser.add_argument("--intervals", action="store_true", help="show the columns of intervals too")
    parser.add_argument("--rows", type=int, default=40, help="rows to show; 0 for all")
    given = parser.parse_args()
    # a pager that is left early is no error
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        if given.rows < 0:
            raise InputError(f"--rows: {given.rows} is not allowed; allowed: a whole number from 1 on, or 0 for all")
        if given.name:
            print(as_text(select(read(find_table(given.name)), given), given.rows))
        else:
            print("\n".join(str(path) for folder in FOLDERS for path in sorted(folder.glob("*.tsv"))))
    except InputError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
