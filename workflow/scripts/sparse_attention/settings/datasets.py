"""Reads and checks the registry of data sets and models: `config/datasets.yaml` and the user's own entries."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sparse_attention.errors import InputError
from sparse_attention.files.yaml import dotted, read_mapping
from sparse_attention.settings.origins import Origins
from sparse_attention.settings.schema import MISSING, Problem, Schema, read_schema

SCHEMA = Path(__file__).parents[3] / "schemas" / "datasets.schema.yaml"


def load_registry(
    file: Path, extra: dict[str, Any] | None = None, origins: Origins | None = None
) -> dict[str, dict[str, Any]]:
    """Return the entries of a registry by name.

    Parameters
    ----------
    file : Path
        The registry that belongs to the workflow.
    extra : dict, optional
        The configuration's section `datasets`, whose entries are added or replace others of the same name.
    origins : Origins, optional
        The files that the configuration's values come from.

    Raises
    ------
    InputError
        With one line for every problem: file, dotted key and what is wrong.
    """
    shipped = read_mapping(file)
    problems = [f"{file}: {dotted(key)}: {text}" for key, text, _ in problems_of(shipped)]
    for key, text, _ in problems_of(extra or {}):
        key = ("datasets", *key)
        origin = origins.of(key, missing=text.startswith(MISSING)) if origins else ""
        problems.append(f"{f'{origin}: ' if origin else ''}{dotted(key)}: {text}")
    if problems:
        raise InputError("the registry of data sets cannot be used:", *[f"  {line}" for line in problems])
    return {**shipped, **(extra or {})}


def problems_of(entries: dict[str, Any]) -> list[Problem]:
    """Return the problems of `entries`: those that the schema finds, or else those of their files' names."""
    return _schema().problems(entries) or [
        Problem((name, "files"), text)
        for name, entry in entries.items()
        for text in _file_problems(entry.get("files", []))
    ]


@functools.cache
def _schema() -> Schema:
    return Schema(read_schema(SCHEMA))


def _file_problems(files: list[dict[str, Any]]) -> Iterator[str]:
    names = [record.get("name") or record["path"].rsplit("/", 1)[-1] for record in files]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"two files would be called {name!r}; allowed: a different name for each (key name)"
    for name in names:
        if name.startswith("/") or ".." in Path(name).parts:
            yield f"{name!r} is outside of the data set's folder; allowed: relative names without .."
