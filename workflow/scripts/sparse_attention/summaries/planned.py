"""Which tables a run has, and what each of them is made from."""

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
        The kinds of files that the run makes.
    config : mapping
        The configuration.

    Raises
    ------
    InputError
        When a table names a kind of files, a table or a setting that there is not, or is made from itself.
    """
    for table in discover().values():
        for key, names, allowed in (("needs", table.needs, KINDS), ("tables", table.tables, discover())):
            unknown = [name for name in names if name not in allowed]
            if unknown:
                raise InputError(f"{table.module}: {key}: no {unknown[0]!r}; allowed: {', '.join(sorted(allowed))}")
    chosen = {name: table for name, table in discover().items() if _needed(table) <= set(kinds)}
    for table in chosen.values():
        setting_of(table, config)
    return chosen


def _needed(table: TableInfo, above: tuple[str, ...] = ()) -> set[str]:
    """Return the kinds of files that a table needs, also by the tables that it is made from."""
    if table.name in above:
        raise InputError(f"{table.module}: tables: {' from '.join([*above, table.name])}: it is made from itself")
    return set(table.needs).union(*(_needed(discover()[name], (*above, table.name)) for name in table.tables))


def inputs_of(table: TableInfo, files: Mapping[str, FileList]) -> dict[str, list[str]]:
    """Return the named inputs of the rule `summarise`: `tables`, and the files of each kind by its name."""
    published = {"tables": [discover()[name].path for name in table.tables]} if table.tables else {}
    return published | {kind: list(files[kind].paths) for kind in table.needs}


def captions_of(tables: Mapping[str, TableInfo], rule: str) -> dict[str, str]:
    """Return the captions of the tables that a rule makes, by name."""
    return {name: table.caption for name, table in tables.items() if table.made_by == rule}


def setting_of(table: TableInfo, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a table's `make` gets as its setting: the value of each of its `settings`, by dotted key."""
    return {key: value_at(config, key, table.module) for key in table.settings}
