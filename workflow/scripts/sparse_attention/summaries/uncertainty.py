"""How sure the comparison of predictors is: fixed sparsities and areas, with bootstrap intervals."""

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
WHO = ("attention", "predictor", "projection", "keep")
SIZES = ("hypervolume", "area")


@dataclass(frozen=True)
class Resampled:
    """The points of one predictor, projection and choice of kept tokens, as they are and in every resample.

    Attributes
    ----------
    series : dict
        `SERIES`.
    documents : int
        Their number.
    windows : numpy.ndarray
        Of each point, int64 `(points,)`.
    values : numpy.ndarray
        float64 `(1 + replicates, seeds, 1 + METRICS, points)`: the sparsity, then the metrics. NaN where a seed has not
        the point.
    """

    series: dict[str, Any]
    documents: int
    windows: np.ndarray
    values: np.ndarray

    @classmethod
    def of(cls, rows: pd.DataFrame, replicates: int) -> Resampled:
        """Resample the rows that the tables of documents have of all seeds."""
        series = {name: rows[name].iloc[0] for name in SERIES}
        wanted = ["sparsity", *METRICS]
        wide = rows.pivot(index=["seed", "document"], columns=["window", "point"], values=wanted)
        examples = rows.groupby(["seed", "document"])["examples"].first()
        values, documents = [], set()
        for seed, own in wide.groupby(level="seed"):
            _check_complete(own, ", ".join(str(series[name]) for name in WHO) + f", seed {seed}")
            cells = np.stack([own[name].to_numpy(dtype=float) for name in wanted], axis=1)
            values.append(resampled_means(cells, examples.loc[own.index].to_numpy(), replicates))
            documents |= set(own.index.get_level_values("document"))
        windows = wide["sparsity"].columns.get_level_values("window").to_numpy()
        return cls(series, len(documents), windows, np.stack(values, axis=1))

    def competitions(self) -> Iterator[tuple[str, np.ndarray]]:
        """Yield the points that compete, as `values`: those of one window, for every window, and then all of them."""
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
            f"tables of documents: {where}: document {document!r} has no row of point {point}, window {window}; "
            "other documents have"
        )


def uncertainty_tables(
    paths: Paths, runs: Runs, sparsities: Sequence[float], replicates: int
) -> dict[str, pd.DataFrame]:
    """Compare predictors at fixed sparsities and by the areas under their fronts.

    Everything is computed for each seed and then averaged over seeds.

    Parameters
    ----------
    paths : sequence of path
        The tables of documents that `evaluate_predictor` wrote.
    runs
        As for `by_series`.
    sparsities : sequence of float
        Where predictors are compared; areas go from the lowest of these to 1.
    replicates : int
        Resamples of the bootstrap.

    Returns
    -------
    dict of str to pandas.DataFrame
        `predictors_at_sparsity`: `KEYS`, `at_sparsity`, `seeds` and each metric with `_ci95` (half the Student interval
        over seeds), `_low` and `_high` (the bootstrap interval over documents and seeds); missing outside the range of
        the points. `areas`: see `area_row`.
    """
    levels, areas = [], []
    for rows in by_series(paths, runs, READ):
        for _, setting in rows.groupby("keep", sort=False):
            resampled = Resampled.of(setting, replicates)
            for windows, values in resampled.competitions():
                who = {**resampled.series, "windows": windows}
                levels += level_rows(who, values, resampled.documents, sparsities)
                areas.append(area_row(who, values, resampled.documents, min(sparsities)))
    columns = [f"{metric}{end}" for metric in METRICS for end in ("", "_ci95", "_low", "_high")]
    sizes = [f"{size}_{metric}{end}" for size in SIZES for metric in METRICS for end in ("", "_low", "_high")]
    return {
        "predictors_at_sparsity": _arranged(levels, [*KEYS, "at_sparsity", "seeds", *columns]),
        "areas": _arranged(areas, [*KEYS, "seeds", "points", "area_from", *sizes]),
    }


def level_rows(
    who: dict[str, Any], values: np.ndarray, documents: int, sparsities: Sequence[float]
) -> list[dict[str, Any]]:
    """Read what one series attains, a row per sparsity; the parameters are those of `Resampled`."""
    sets = _sets(values)
    attained = hulls(*sets).attainable(np.asarray(sparsities)).reshape(*values.shape[:2], len(METRICS), -1)
    found = estimate(attained, documents)
    rows = []
    for place, at in enumerate(sparsities):
        row = {**who, "at_sparsity": at, "seeds": values.shape[1]}
        for metric, cells in zip(METRICS, np.stack(found)[..., place].T, strict=True):
            row |= {metric: cells[0], f"{metric}_ci95": cells[1], f"{metric}_low": cells[2], f"{metric}_high": cells[3]}
        rows.append(row)
    return rows


def area_row(who: dict[str, Any], values: np.ndarray, documents: int, start: float) -> dict[str, Any]:
    """Measure the fronts of one series; the parameters are those of `Resampled`.

    Returns
    -------
    dict
        `KEYS`, `seeds`, `points` (how many compete), `area_from` (`start`), and for each metric, with `_low`
        and `_high`:

        - `area_<metric>`: the mean over the sparsities from `start` to 1 of what the points attain, when keeping
          everything (sparsity 0, metric 1) and keeping nothing (1, 0) count as points too: so each series reaches every
          sparsity, and none is worse than chance, whose area is (1 - `start`) / 2;
        - `hypervolume_<metric>`: the area of all rectangles between (0, 0) and a point together, a step function,
          without those two.
    """
    sets, shape = _sets(values), (*values.shape[:2], len(METRICS))
    sizes = {"hypervolume": hypervolumes(*sets), "area": hulls(*sets, with_ends=True).area(start)}
    row = {**who, "seeds": shape[1], "points": values.shape[3], "area_from": start}
    for name, size in sizes.items():
        found = estimate(size.reshape(shape), documents)
        for place, metric in enumerate(METRICS):
            for end, cells in (("", found.mean), ("_low", found.low), ("_high", found.high)):
                row[f"{name}_{metric}{end}"] = cells[place]
    return row


def _sets(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return sparsities and metrics as sets of points: resamples × seeds × metrics of them."""
    metrics = values[:, :, 1:]
    sparsity = np.broadcast_to(values[:, :, :1], metrics.shape)
    return sparsity.reshape(-1, metrics.shape[-1]), metrics.reshape(-1, metrics.shape[-1])


def _arranged(rows: list[dict[str, Any]], columns: list[str]) -> pd.DataFrame:
    """Order rows by attention, kept tokens and windows, each as it first appears, and predictors as configured."""
    frame = pd.DataFrame(rows, columns=columns)
    places = [pd.factorize(frame[name])[0] for name in ("windows", "keep", "attention")]
    return frame.iloc[np.lexsort(places)].reset_index(drop=True)
