"""Tables of the predictors: per point, per head, and at fixed sparsities."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from sparse_attention.summaries import pareto
from sparse_attention.summaries.models import Paths, Runs, read_runs
from sparse_attention.summaries.statistics import over_seeds, stack

METRICS = ("sparsity", "gold_sparsity", "recall", "mass_recall", "precision", "exactness", "edges")
WHO = ("predictor", "label", "family", "bound", "projection", "attention")
POINT = (*WHO, "point", "window", "keep")
BY_HEAD = (*(name for name in POINT if name not in ("label", "family", "bound")), "layer", "head")
READ = ("layer", "head", "point", "window", "keep", "examples", *METRICS)
BOUNDS = {"oracle": "upper", "random": "lower"}


def describe(run: dict[str, Any]) -> dict[str, Any]:
    """Complete what is known of a file: `label` (else the name), `family` and `bound` (upper, lower or missing)."""
    name = run["predictor"]
    return {
        "predictor": name,
        "label": run.get("label") or name,
        "family": run.get("family") or None,
        "bound": run.get("bound") or BOUNDS.get(name),
        "projection": run["projection"],
        "attention": run["attention"],
        "seed": run["seed"],
    }


def _files_by_series(paths: Paths, runs: Runs) -> Iterator[pd.DataFrame]:
    """Yield the rows of one predictor, projection and attention at a time: memory holds one series."""
    series: dict[tuple[str, ...], list[int]] = {}
    described = [describe(dict(run)) for run in runs]
    for index, run in enumerate(described):
        series.setdefault((run["attention"], run["projection"], run["predictor"]), []).append(index)
    for indices in series.values():
        yield read_runs([paths[index] for index in indices], [described[index] for index in indices], READ)


def predictor_tables(paths: Paths, runs: Runs, sparsities: list[float]) -> dict[str, pd.DataFrame]:
    """Build every table of the predictors from the evaluations.

    Metrics are averaged over layers and heads within a seed, then over seeds.

    Parameters
    ----------
    paths : sequence of path
        Tables of `evaluate_predictor`.
    runs : sequence of dict
        Of each file: `predictor`, `projection`, `attention`, `seed`, and optionally `label`, `family`, `bound`.
    sparsities : list of float
        Where predictors are compared in the compact table.

    Returns
    -------
    dict of str to pandas.DataFrame
        `predictors`, `predictors_by_head`, `predictors_at_sparsity`, `pareto`.
    """
    by_seed, by_head = [], []
    for rows in _files_by_series(paths, runs):
        groups = rows.groupby([*POINT, "seed"], sort=False, dropna=False)
        by_seed.append(groups[list(METRICS)].mean().assign(examples=groups["examples"].first()).reset_index())
        heads = over_seeds(rows, BY_HEAD, METRICS[:-1], constant=("examples",))
        by_head.append(heads.drop(columns=[name for name in heads if str(name).endswith("_ci95")]))
    points = stack(by_seed, [*POINT, "seed", *METRICS, "examples"])
    table = over_seeds(points, POINT, METRICS, constant=("examples",))
    fixed = pareto.at_sparsities(points, sparsities)
    compact = over_seeds(fixed, [*pareto.SERIES, "windows", "at_sparsity"], pareto.METRICS)
    return {
        "predictors": table,
        "predictors_by_head": stack(by_head, [*BY_HEAD, "seeds", "examples", *METRICS[:-1]]),
        "predictors_at_sparsity": _only_complete(compact, fixed),
        "pareto": pareto.pareto_table(table),
    }


def _only_complete(compact: pd.DataFrame, fixed: pd.DataFrame) -> pd.DataFrame:
    """Blank a metric that some seed does not reach: a mean over fewer seeds would not compare."""
    groups = fixed.groupby([*pareto.SERIES, "windows", "at_sparsity"], sort=False, dropna=False)
    for metric in pareto.METRICS:
        complete = groups[metric].apply(lambda values: bool(values.notna().all())).to_numpy(dtype=bool)
        compact.loc[~complete, [metric, f"{metric}_ci95"]] = float("nan")
    return compact
