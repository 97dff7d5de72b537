"""Determine which figures a run draws, and which settings each figure reads."""

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
"""Tests of the configuration that a figure can require beside its tables, by the text of its `condition`."""
EXPLORED = ("predictors", "sparse_mlm", "pruning")
"""Tables whose points a figure can let readers explore; `reporting.curves` says how each is shown."""
JOINED = ("front", "all", "none")
"""Which points of a curve a line joins where readers explore them: those on its Pareto front, all, or none."""


def drawn_from(tables: Mapping[str, TableInfo], pruned: Collection[str]) -> dict[str, str | None]:
    """Return the path of each table that figures can be drawn from, by name; None where the run does not make it.

    Parameters
    ----------
    tables : mapping
        The published tables of the run.
    pruned : collection of str
        The result folders of the pruned classifiers. `kept` and `predictions` are read from the first one.
    """
    functions = {name: next((f"{folder}/{name}.tsv" for folder in pruned), None) for name in ("kept", "predictions")}
    return {name: tables[name].path if name in tables else None for name in published_tables()} | functions


def planned(tables: Mapping[str, str | None], config: Config) -> dict[str, FigureInfo]:
    """Return the figures whose tables the run makes and whose condition holds, by name and in the report's order.

    Parameters
    ----------
    tables : mapping
        The path of each table by name, as `drawn_from` returns it.
    config : mapping
        The configuration.

    Raises
    ------
    InputError
        When a figure names a table, a setting, a condition or a way of exploring that does not exist.
    """
    for figure in discover().values():
        for key, names, allowed in (
            ("needs", figure.needs, tables),
            ("condition", filter(None, [figure.condition]), CONDITIONS),
            ("explored", figure.explored[:1], EXPLORED),
            ("explored", figure.explored[-1:], JOINED),
        ):
            unknown = [name for name in names if name not in allowed]
            if unknown:
                raise InputError(
                    f"{figure.module}.{key}: {unknown[0]!r} is not allowed; allowed: {', '.join(sorted(allowed))}"
                )
    chosen = {
        name: figure
        for name, figure in discover().items()
        if all(tables[table] for table in figure.needs)
        and (not figure.condition or CONDITIONS[figure.condition](config))
    }
    for figure in chosen.values():
        setting_of(figure, config)
    return chosen


def files_of(figures: Mapping[str, FigureInfo], section: str | None = None) -> list[str]:
    """Return the files of the figures of one section of the report, by default of all.

    Parameters
    ----------
    figures : mapping
        The figures by name, as `planned` returns them.
    section : str, optional
        One of `plotting.registry.SECTIONS`.
    """
    names = [name for name, figure in figures.items() if section in (None, figure.section)]
    return [f"results/figures/{name}.{suffix}" for name in names for suffix in ("svg", "pdf", "png")]


def setting_of(figure: FigureInfo, config: Config) -> dict[str, Any]:
    """Return the mapping `setting` that a figure's `draw` receives; `base.Plot.draw` describes it."""
    corpus, model = figure.subject
    read = {key: value_at(config, key, figure.module) for key in figure.settings}
    return {"corpus": value_at(config, corpus, figure.module), "model": value_at(config, model, figure.module), **read}
