"""Tables of the predictors: by point, by head, and the points on the fronts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from sparse_attention.metrics.facts import support_metrics
from sparse_attention.summaries import pareto
from sparse_attention.summaries.reading import Paths, Runs, read_runs
from sparse_attention.summaries.statistics import over_seeds, stack

METRICS = tuple(support_metrics())
OF_HEADS = tuple(name for name, metric in support_metrics().items() if metric.of_heads)
IDENTITY = ("predictor", "label", "family", "bound", "projection", "attention")
"""Columns that identify a series of points."""
POINT = (*IDENTITY, "point", "window", "keep")
BY_HEAD = (*(name for name in POINT if name not in ("label", "family", "bound")), "layer", "head")
READ = ("layer", "head", "point", "window", "keep", "grid", "examples", *METRICS)


def describe(run: dict[str, Any]) -> dict[str, Any]:
    """Return what is known of a file, with `label` (by default the name), `family` and `bound` filled in."""
    name = run["predictor"]
    return {
        "predictor": name,
        "label": run.get("label") or name,
        "family": run.get("family") or None,
        "bound": run.get("bound") or None,
        "projection": run["projection"],
        "attention": run["attention"],
        "seed": run["seed"],
    }


def by_series(paths: Paths, runs: Runs, columns: Sequence[str]) -> Iterator[pd.DataFrame]:
    """Yield the rows of one predictor, projection and attention at a time, so that memory holds one series.

    Parameters
    ----------
    paths : sequence of path
        Tables of `evaluate_predictor`, all of one kind.
    runs : sequence of dict
        For each file `predictor`, `projection`, `attention`, `seed`, and optionally `label`, `family`, `bound`.
    columns : sequence of str
        Columns that the files must have.
    """
    series: dict[tuple[str, ...], list[int]] = {}
    described = [describe(dict(run)) for run in runs]
    for index, run in enumerate(described):
        series.setdefault((run["attention"], run["projection"], run["predictor"]), []).append(index)
    for indices in series.values():
        yield read_runs([paths[index] for index in indices], [described[index] for index in indices], columns)


def predictor_tables(paths: Paths, runs: Runs) -> dict[str, pd.DataFrame]:
    """Make the tables of all points from the evaluations.

    Metrics are averaged over layers and heads within a seed, then over seeds. They count pairs of tokens, also for
    predictors that work on blocks; only `predictors_by_block` counts pairs of blocks.

    Parameters
    ----------
    paths, runs
        See `by_series`.

    Returns
    -------
    dict of str to pandas.DataFrame
        `predictors`, `predictors_by_block` (with the same columns), `predictors_by_head` and `pareto`.
    """
    by_seed: dict[str, list[pd.DataFrame]] = {"token": [], "block": []}
    by_head = []
    for everything in by_series(paths, runs, READ):
        for grid, means in by_seed.items():
            groups = everything[everything["grid"] == grid].groupby([*POINT, "seed"], sort=False, dropna=False)
            means.append(groups[list(METRICS)].mean().assign(examples=groups["examples"].first()).reset_index())
        rows = everything[everything["grid"] == "token"]
        heads = over_seeds(rows, BY_HEAD, OF_HEADS, constant=("examples",))
        by_head.append(heads.drop(columns=[name for name in heads if str(name).endswith("_ci95")]))
    tables = {
        grid: over_seeds(stack(means, [*POINT, "seed", *METRICS, "examples"]), POINT, METRICS, constant=("examples",))
        for grid, means in by_seed.items()
    }
    return {
        "predictors": tables["token"],
        "predictors_by_block": tables["block"],
        "predictors_by_head": stack(by_head, [*BY_HEAD, "seeds", "examples", *OF_HEADS]),
        "pareto": pareto.pareto_table(tables["token"]),
    }
