"""Compare predictors at fixed sparsities and by areas, with bootstrap intervals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from sparse_attention.errors import InputError
from sparse_attention.summaries.bootstrap import estimate, resampled_means
from sparse_attention.summaries.fronts import hulls, hypervolumes
from sparse_attention.summaries.pareto import ALL, METRICS, SERIES
from sparse_attention.summaries.predictors import by_series
from sparse_attention.summaries.reading import Paths, Runs

READ = ("document", "point", "window", "keep", "examples", "sparsity", *METRICS)
KEYS = (*SERIES, "windows")
IDENTITY = ("attention", "predictor", "projection", "keep")
SIZES = ("hypervolume", "area")


@dataclass(frozen=True)
class Resampled:
    """The points of one predictor, projection and choice of kept tokens, on all documents and in every resample.

    Attributes
    ----------
    series : dict
        Values of the columns `SERIES`.
    documents : int
        Number of documents.
    windows : numpy.ndarray
        Window of each point, int64 ``(points,)``.
    values : numpy.ndarray
        float64 ``(1 + replicates, seeds, 1 + metrics, points)``: the sparsity, then `METRICS`. NaN where a seed lacks
        the point.
    """

    series: dict[str, Any]
    documents: int
    windows: np.ndarray
    values: np.ndarray

    @classmethod
    def of(cls, rows: pd.DataFrame, replicates: int) -> Resampled:
        """Resample the rows of one series in the tables of documents of all seeds."""
        series = {name: rows[name].iloc[0] for name in SERIES}
        wanted = ["sparsity", *METRICS]
        wide = rows.pivot(index=["seed", "document"], columns=["window", "point"], values=wanted)
        examples = rows.groupby(["seed", "document"])["examples"].first()
        values, documents = [], set()
        for seed, own in wide.groupby(level="seed"):
            _check_complete(own, ", ".join(str(series[name]) for name in IDENTITY) + f", seed {seed}")
            cells = np.stack([own[name].to_numpy(dtype=float) for name in wanted], axis=1)
            values.append(resampled_means(cells, examples.loc[own.index].to_numpy(), replicates))
            documents |= set(own.index.get_level_values("document"))
        windows = wide["sparsity"].columns.get_level_values("window").to_numpy()
        return cls(series, len(documents), windows, np.stack(values, axis=1))

    def competitions(self) -> Iterator[tuple[str, np.ndarray]]:
        """Yield the `values` of the points that compete on one front: of each window, then of all windows together."""
        for window in np.unique(self.windows):
            yield str(window), self.values[..., self.windows == window]
        if len(np.unique(self.windows)) > 1:
            yield ALL, self.values


def _check_complete(points: pd.DataFrame, where: str) -> None:
    """Raise `InputError` when some documents lack a point that others have."""
    gaps = points.isna() & points.notna().any()
    if gaps.any(axis=None):
        row, column = np.argwhere(gaps.to_numpy())[0]
        document, (_, window, point) = points.index[row][-1], points.columns[column]
        raise InputError(
            f"tables of documents: {where}: document {document!r} has no row of point {point}, window {window}, "
            "which other documents have; allowed: the same points for every document"
        )


def uncertainty_tables(
    paths: Paths, runs: Runs, sparsities: Sequence[float], replicates: int
) -> dict[str, pd.DataFrame]:
    """Compare predictors at fixed sparsities and by the areas under their fronts.

    Everything is computed for each seed and then averaged over seeds.

    Parameters
    ----------
    paths : sequence of path
        Tables of documents from `evaluate_predictor`.
    runs
        See `by_series`.
    sparsities : sequence of float
        Sparsities at which predictors are compared; areas go from the lowest of these to 1.
    replicates : int
        Number of resamples of the bootstrap.

    Returns
    -------
    dict of str to pandas.DataFrame
        `predictors_at_sparsity`: `KEYS`, `at_sparsity`, `seeds` and each metric with `_ci95` (half the Student-t
        interval over seeds), `_low` and `_high` (ends of the bootstrap interval over documents and seeds); missing
        outside the range of the points. `areas`: see `area_row`.
    """
    levels, areas = [], []
    for rows in by_series(paths, runs, READ):
        for _, setting in rows.groupby("keep", sort=False):
            resampled = Resampled.of(setting, replicates)
            for windows, values in resampled.competitions():
                identity = {**resampled.series, "windows": windows}
                levels += level_rows(identity, values, resampled.documents, sparsities)
                areas.append(area_row(identity, values, resampled.documents, min(sparsities)))
    columns = [f"{metric}{end}" for metric in METRICS for end in ("", "_ci95", "_low", "_high")]
    sizes = [f"{size}_{metric}{end}" for size in SIZES for metric in METRICS for end in ("", "_low", "_high")]
    return {
        "predictors_at_sparsity": _sorted(levels, [*KEYS, "at_sparsity", "seeds", *columns]),
        "areas": _sorted(areas, [*KEYS, "seeds", "points", "area_from", *sizes]),
    }


def level_rows(
    identity: dict[str, Any], values: np.ndarray, documents: int, sparsities: Sequence[float]
) -> list[dict[str, Any]]:
    """Return the attainable metrics of one series, one row per sparsity.

    Parameters
    ----------
    identity : dict
        Values of the columns `KEYS`.
    values : numpy.ndarray
        Points that compete, see `Resampled.values`.
    documents : int
        Number of documents.
    sparsities : sequence of float
        Sparsities of the rows.
    """
    sets = _sets(values)
    attained = hulls(*sets).attainable(np.asarray(sparsities)).reshape(*values.shape[:2], len(METRICS), -1)
    found = estimate(attained, documents)
    rows = []
    for index, at in enumerate(sparsities):
        row = {**identity, "at_sparsity": at, "seeds": values.shape[1]}
        for metric, cells in zip(METRICS, np.stack(found)[..., index].T, strict=True):
            row |= {metric: cells[0], f"{metric}_ci95": cells[1], f"{metric}_low": cells[2], f"{metric}_high": cells[3]}
        rows.append(row)
    return rows


def area_row(identity: dict[str, Any], values: np.ndarray, documents: int, start: float) -> dict[str, Any]:
    """Return the areas and hypervolumes of one series.

    Parameters
    ----------
    identity, values, documents
        See `level_rows`.
    start : float
        Lowest sparsity of the areas.

    Returns
    -------
    dict
        `KEYS`, `seeds`, `points` (number of points that compete), `area_from` (`start`), and for each metric, with
        `_low` and `_high`:

        - `area_<metric>`: the mean of the attainable metric over the sparsities from `start` to 1. Keeping everything
          (sparsity 0, metric 1) and keeping nothing (1, 0) are added to the points. So each series covers every
          sparsity, and none is below chance, whose area is (1 - `start`) / 2;
        - `hypervolume_<metric>`: the area of the union of the rectangles between (0, 0) and a point, without these two
          points.
    """
    sets, shape = _sets(values), (*values.shape[:2], len(METRICS))
    sizes = {"hypervolume": hypervolumes(*sets), "area": hulls(*sets, with_ends=True).area(start)}
    row = {**identity, "seeds": shape[1], "points": values.shape[3], "area_from": start}
    for name, size in sizes.items():
        found = estimate(size.reshape(shape), documents)
        for index, metric in enumerate(METRICS):
            for end, cells in (("", found.mean), ("_low", found.low), ("_high", found.high)):
                row[f"{name}_{metric}{end}"] = cells[index]
    return row


def _sets(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return sparsities and metrics, ``(resamples × seeds × metrics, points)`` each: one set of points per row."""
    metrics = values[:, :, 1:]
    sparsity = np.broadcast_to(values[:, :, :1], metrics.shape)
    return sparsity.reshape(-1, metrics.shape[-1]), metrics.reshape(-1, metrics.shape[-1])


def _sorted(rows: list[dict[str, Any]], columns: list[str]) -> pd.DataFrame:
    """Sort rows by attention, kept tokens and windows, each in order of appearance; predictors stay as configured."""
    frame = pd.DataFrame(rows, columns=columns)
    ranks = [pd.factorize(frame[name])[0] for name in ("windows", "keep", "attention")]
    return frame.iloc[np.lexsort(ranks)].reset_index(drop=True)
