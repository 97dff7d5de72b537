"""The tables of a run, and the inputs of each."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sparse_attention.errors import InputError
from sparse_attention.jobs.file_lists import FileList
from sparse_attention.settings.results import KINDS
from sparse_attention.settings.values import value_at
from sparse_attention.summaries.registry import TableInfo, discover


def planned(kinds: Collection[str], config: Mapping[str, Any]) -> dict[str, TableInfo]:
    """Return the tables of a run, by name in the report's order.

    Parameters
    ----------
    kinds : collection of str
        Kinds of files that the run makes.
    config : mapping
        The configuration.

    Raises
    ------
    InputError
        When a table names an unknown kind of files, table or setting, or is made from itself.
    """
    for table in discover().values():
        for key, names, allowed in (("needs", table.needs, KINDS), ("tables", table.tables, discover())):
            unknown = [name for name in names if name not in allowed]
            if unknown:
                text = f"{key}: {unknown[0]!r} is not allowed"
                raise InputError(f"{table.module}: {text}; allowed: {', '.join(sorted(allowed))}")
    chosen = {name: table for name, table in discover().items() if _needed(table) <= set(kinds)}
    for table in chosen.values():
        setting_of(table, config)
    return chosen


def _needed(table: TableInfo, parents: tuple[str, ...] = ()) -> set[str]:
    """Return the kinds of files that a table needs, directly or through the tables that it is made from."""
    if table.name in parents:
        text = f"{table.name} is made from itself ({' from '.join([*parents, table.name])})"
        raise InputError(f"{table.module}: tables: {text}; allowed: other tables")
    return set(table.needs).union(*(_needed(discover()[name], (*parents, table.name)) for name in table.tables))


def inputs_of(table: TableInfo, files: Mapping[str, FileList]) -> dict[str, list[str]]:
    """Return the named inputs of the rule `summarise`: `tables`, and the files of each kind by its name."""
    published = {"tables": [discover()[name].path for name in table.tables]} if table.tables else {}
    return published | {kind: list(files[kind].paths) for kind in table.needs}


def captions_of(tables: Mapping[str, TableInfo], rule: str) -> dict[str, str]:
    """Return the captions of the tables that a rule makes, by name."""
    return {name: table.caption for name, table in tables.items() if table.made_by == rule}


def setting_of(table: TableInfo, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a table's `settings` by dotted key, the argument `setting` of its `make`."""
    return {key: value_at(config, key, table.module) for key in table.settings}
