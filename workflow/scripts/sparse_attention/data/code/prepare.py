"""Turns a retrieved data set of code into functions in train, validation and test."""

from __future__ import annotations

import fnmatch
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

import pandas as pd

from sparse_attention.data.code import selection
from sparse_attention.data.code.functions import Function, Intake
from sparse_attention.data.code.readers.base import CodeReader
from sparse_attention.data.code.readers.registry import create
from sparse_attention.data.documents import quantiles
from sparse_attention.data.files import some_of, suffix_of
from sparse_attention.data.registry import Dataset
from sparse_attention.data.rows import saved_files
from sparse_attention.data.splits import SPLITS, Shares
from sparse_attention.errors import InputError
from sparse_attention.jobs.options import Options

logger = logging.getLogger(__name__)


class Prepared(NamedTuple):
    """The functions that are used, in the order of splits, and tables of the splits and of functions left out."""

    functions: list[Function]
    statistics: pd.DataFrame
    intake: pd.DataFrame


@dataclass(frozen=True)
class CodeOptions(Options):
    """The configuration's `prepare_code`.

    Attributes
    ----------
    min_lines : int
        Functions with fewer lines are left out; from 1 on.
    max_lines : int, optional
        Functions with more lines are left out; from 1 on; None: no limit.
    ignored_rules : sequence of str
        Rules of bandit, such as B101, whose findings do not count.
    bad_rows : str
        What happens to a row without text or with a label other than 0 and 1: refuse or drop.
    split : Shares
        Shares of the splits; whole projects are assigned.
    near_duplicates : float, optional
        Jaccard similarity of shingles from which a function is a repeat, above 0 up to 1; None: only exact repeats.
    overlap : str
        What happens to a function in two splits: drop, refuse or keep.
    negatives : float, optional
        Negatives per positive, above 0; None: all negatives.
    max_functions : mapping
        The most functions of each split, from 2 on; None: no limit.
    """

    min_lines: int
    max_lines: int | None
    ignored_rules: Sequence[str]
    bad_rows: str
    split: Shares
    near_duplicates: float | None
    overlap: str
    negatives: float | None
    max_functions: Mapping[str, int | None]

    @classmethod
    def of(cls, section: Mapping[str, Any]) -> Self:
        """Return the options in the section `prepare_code`."""
        return super().of({**section, "split": Shares.of(section["split"])})


def prepare(dataset: Dataset, entry: Mapping[str, Any], options: CodeOptions, threads: int = 1) -> Prepared:
    """Read the functions of a data set, split them and choose those that are used.

    Parameters
    ----------
    dataset : Dataset
        The retrieved data set.
    entry : mapping
        The corpus's own settings: `format`, `files` by split, `projects` by split, and the options of its reader.
    options : CodeOptions
    threads : int
        Threads for reading; their number does not change the result.

    Raises
    ------
    InputError
        When a file, column or row cannot be used, splits overlap and `overlap` is `refuse`, or a split lacks a label.
    """
    intake = Intake(options.bad_rows)
    reader = create(entry["format"], {**entry, "ignored_rules": options.ignored_rules, "threads": threads})
    functions = list(reader.read(code_files(dataset, reader, entry), intake))
    functions = selection.within_lines(functions, options.min_lines, options.max_lines, intake)
    selection.require_some(functions, dataset.name, intake)
    functions = selection.assign_splits(functions, options.split, entry.get("projects"))
    functions = selection.without_repeats(functions, options.near_duplicates, options.overlap, intake)
    selection.require_both_labels(functions, intake, "prepare_code.split, and files or projects in code_corpora,")
    chosen: list[Function] = []
    for split in SPLITS:
        members = [function for function in functions if function.split == split]
        seed, most = options.split.seed, options.max_functions[split]
        used = selection.choose(members, options.negatives, most, seed)
        intake.drop("not needed: enough negatives, or max_functions", len(members) - len(used))
        chosen += used
    selection.require_both_labels(chosen, intake, "prepare_code.negatives and prepare_code.max_functions")
    logger.info("%s: %d functions read, %d kept", dataset.name, intake.read, len(chosen))
    return Prepared(chosen, statistics(chosen), intake.table())


def code_files(dataset: Dataset, reader: CodeReader, entry: Mapping[str, Any]) -> dict[str, list[Path]]:
    """Return the files to read by split, in the registry's order; all under "" when the entry names no `files`.

    Raises
    ------
    InputError
        When a pattern of `files` matches no file, or no file has a suffix of the reader.
    """
    if entry.get("files"):
        found = {}
        for split, pattern in entry["files"].items():
            names = {file: file.relative_to(dataset.root).as_posix() for file in dataset.files}
            found[split] = [file for file, name in names.items() if fnmatch.fnmatch(name, pattern)]
            if not found[split]:
                there = some_of(map(Path, names.values()))
                raise InputError(f"{dataset.root}: no file matches files.{split} {pattern!r}; allowed: {there}")
    else:
        found = {"": [file for file in dataset.files if suffix_of(file) in reader.suffixes]}
    found = {split: saved_files(files)[0] for split, files in found.items()}
    wrong = [file for files in found.values() for file in files if suffix_of(file) not in reader.suffixes]
    if wrong or not any(found.values()):
        which = f"{wrong[0]} is not" if wrong else f"{dataset.root} has no file"
        raise InputError(f"{which} of format {reader.name}; allowed: {', '.join(reader.suffixes)}")
    return found


def statistics(functions: list[Function]) -> pd.DataFrame:
    """Count the functions, positives and projects of each split, with quantiles of lines and characters."""
    rows = []
    for split in SPLITS:
        own = [function for function in functions if function.split == split]
        positives = sum(function.label for function in own)
        rows.append({
            "split": split,
            "functions": len(own),
            "positive": positives,
            "positive_share": positives / max(len(own), 1),
            "projects": len({function.project for function in own}),
            **{f"lines_{name}": value for name, value in quantiles([f.source.count("\n") + 1 for f in own]).items()},
            **{f"characters_{name}": value for name, value in quantiles([len(f.source) for f in own]).items()},
        })  # fmt: skip
    return pd.DataFrame(rows)
