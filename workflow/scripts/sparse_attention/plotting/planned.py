"""Which figures a run has, and which settings each of them reads."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from sparse_attention.errors import InputError
from sparse_attention.plotting.registry import FigureInfo, discover
from sparse_attention.settings.grids import lambda_sweeps, prunings
from sparse_attention.settings.values import value_at
from sparse_attention.summaries.registry import TableInfo
from sparse_attention.summaries.registry import discover as published_tables

Config = Mapping[str, Any]
CONDITIONS: dict[str, Callable[[Config], bool]] = {
    "prunings differ in lambda": lambda config: bool(lambda_sweeps(prunings(dict(config)))),
}
"""What a figure may ask for beside its tables, by the words that its `condition` names it with."""


def drawn_from(tables: Mapping[str, TableInfo], pruned: Collection[str]) -> dict[str, str | None]:
    """Return the files that figures can be drawn from, by name; None where the run has none.

    Parameters
    ----------
    tables : mapping
        The published tables of the run.
    pruned : collection of str
        The folders of its pruned classifiers; `kept` and `predictions` are the test functions of the first.
    """
    functions = {name: next((f"{folder}/{name}.tsv" for folder in pruned), None) for name in ("kept", "predictions")}
    return {name: tables[name].path if name in tables else None for name in published_tables()} | functions


def planned(tables: Mapping[str, str | None], config: Config) -> dict[str, FigureInfo]:
    """Return the figures whose tables the run has and whose condition holds, by name in the report's order.

    Parameters
    ----------
    tables : mapping
        What `drawn_from` returns.
    config : mapping
        The configuration.

    Raises
    ------
    InputError
        When a figure names a table, a setting or a condition that there is not.
    """
    for figure in discover().values():
        for key, names, allowed in (
            ("needs", figure.needs, tables),
            ("condition", filter(None, [figure.condition]), CONDITIONS),
        ):
            unknown = [name for name in names if name not in allowed]
            if unknown:
                raise InputError(f"{figure.module}: {key}: no {unknown[0]!r}; allowed: {', '.join(sorted(allowed))}")
    chosen = {
        name: figure
        for name, figure in discover().items()
        if all(tables[table] for table in figure.needs)
        and (not figure.condition or CONDITIONS[figure.condition](config))
    }
    for figure in chosen.values():
        setting_of(figure, config)
    return chosen


def setting_of(figure: FigureInfo, config: Config) -> dict[str, Any]:
    """Return what a figure's `draw` gets as its setting."""
    corpus, model = figure.subject
    read = {key: value_at(config, key, figure.module) for key in figure.settings}
    return {"corpus": value_at(config, corpus, figure.module), "model": value_at(config, model, figure.module), **read}
