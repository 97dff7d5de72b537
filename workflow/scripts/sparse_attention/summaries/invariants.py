"""Check invariants that hold for every correct evaluation; a run that violates one must not be published."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from sparse_attention.errors import InputError
from sparse_attention.files.segments import parse_segment
from sparse_attention.files.tables import read_table
from sparse_attention.metrics.facts import MetricFacts, compared_metrics, support_metrics
from sparse_attention.settings.grids import NO_PROJECTION
from sparse_attention.summaries.fronts import hulls
from sparse_attention.summaries.predictors import READ
from sparse_attention.summaries.reading import Paths, Runs

METRICS = support_metrics()
MOVING = {name: metric for name, metric in METRICS.items() if metric.rises or metric.falls}
"""Metrics that never fall, or never rise, when a support grows."""
PLACE = ("layer", "head", "point", "window", "keep", "grid")
"""Columns that identify a row of one evaluation."""
KEPT = (("none", "cls", "cls+last"), ("none", "last", "cls+last"))
"""Chains of choices of kept tokens, each of which contains the one before it."""
TOLERANCE = 1e-9
ROUNDING = 2e-6
"""Largest difference between means of numbers up to 1 that are rounded to six digits."""
SHOWN_ROWS, SHOWN = 3, 10
"""Number of rows that a message shows for each violation, and number of violations that it shows."""


class Violation(NamedTuple):
    """Rows of one table that violate an invariant.

    Attributes
    ----------
    rule : str
        The invariant, such as `recall must be from 0 to 1`.
    rows : DataFrame
        The rows, with the columns that identify them and those that show the violation.
    """

    rule: str
    rows: pd.DataFrame

    def message(self, path: Any) -> str:
        """Return a line that names the file, the invariant and the first rows."""
        shown = []
        for row in self.rows.head(SHOWN_ROWS).to_dict("records"):
            shown.append(", ".join(f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}"
                                   for name, value in row.items()))  # fmt: skip
        more = f"; and {len(self.rows) - len(shown)} more rows" if len(self.rows) > len(shown) else ""
        return f"{path}: {self.rule}; violated in: {'; '.join(shown)}{more}"


def violations(table: pd.DataFrame, nested: tuple[str, bool] | None = None) -> Iterator[Violation]:
    """Yield the violations in one evaluation.

    Parameters
    ----------
    table : pandas.DataFrame
        Table by head from `evaluate_predictor`.
    nested : (str, bool), optional
        A setting of the predictor along which supports are nested, and whether they grow with it.
    """

    def select(rule: str, rows: np.ndarray | pd.Series, *columns: str) -> Iterator[Violation]:
        if np.asarray(rows).any():
            yield Violation(rule, table.loc[np.asarray(rows), [*PLACE, *columns]])

    yield from select("a row must not be repeated", table.duplicated(list(PLACE)))
    for name, metric in METRICS.items():
        yield from select(f"{name} must be {metric.range}", outside(table[name], metric), name)
    above = table["recall"] > table["best_recall"] + TOLERANCE
    yield from select("recall must be at most best_recall, that of the best pairs", above, "recall", "best_recall")
    # rounding to six digits can hide a query that is not exact, and recall then misses as little
    missing = (table["exactness"] == 1) & (table["recall"] < 1 - 10 * ROUNDING)
    yield from select("recall must be 1 where every query is exact", missing, "exactness", "recall")
    yield from _falling(table, "window", table["window"], "as the window grows")
    for chain in KEPT:
        if chain[1] in set(table["keep"]) or chain is KEPT[0]:
            rows = table[table["keep"].isin(chain)]
            yield from _falling(rows, "keep", rows["keep"].map(chain.index), "as more tokens are kept")
    if nested:
        yield from _falling_along(table, *nested)


def outside(values: pd.Series, metric: MetricFacts) -> pd.Series:
    """Return which values are outside the range of a metric."""
    low, high = (np.inf * sign if end is None else end for end, sign in ((metric.low, -1), (metric.high, 1)))
    return ~values.between(low, high) & ~(values.isna() & metric.unknown)


def _falling(table: pd.DataFrame, axis: str, order: pd.Series, how: str) -> Iterator[Violation]:
    """Yield where a metric falls that must not, or rises that must not, as supports grow along the column `axis`.

    `order` sorts the values of `axis` by growing support; `how` ends the text of the invariant.
    """
    others = [name for name in PLACE if name != axis]
    rows = table.assign(order=order).sort_values([*others, "order"], kind="stable")
    before = rows.groupby(others, sort=False)[[*MOVING, axis]].shift()
    for name, metric in MOVING.items():
        rise = rows[name] - before[name]
        for never, wrong in (("fall", metric.rises & (rise < -TOLERANCE)), ("rise", metric.falls & (rise > TOLERANCE))):
            if wrong.any():
                found = rows.loc[wrong, [*PLACE, name]].assign(before=before[name], at=before[axis])
                yield Violation(f"{name} must not {never} {how}", found.rename(columns={"at": f"{axis} before"}))


def _falling_along(table: pd.DataFrame, setting: str, grows: bool) -> Iterator[Violation]:
    """Yield the same along a setting of the predictor; points whose setting is no single number are left out."""
    points = {point: parse_segment(point) for point in table["point"].unique()}
    values = {point: found[setting] for point, found in points.items() if isinstance(found.get(setting), int | float)}
    rows = table[table["point"].isin(list(values))]
    others = rows["point"].map(
        {point: str({k: v for k, v in points[point].items() if k != setting}) for point in values}
    )
    order = rows["point"].map(values) * (1 if grows else -1)
    for violation in _falling(rows.assign(grid=rows["grid"] + others), "point", order, f"along {setting}"):
        yield violation._replace(rows=violation.rows.assign(grid=rows["grid"]))


def check(
    tables: Paths,
    documents: Paths,
    runs: Runs,
    sparsities: Sequence[float],
) -> dict[str, Any]:
    """Check all evaluations.

    Parameters
    ----------
    tables, documents : sequence of path
        Files of `evaluate_predictor`: the tables by head, and those by document.
    runs : sequence of dict
        For each file `predictor`, `projection`, `attention`, `seed`, and `bound`, `nested` and `falling` of the
        predictor where it has them.
    sparsities : sequence of float
        Sparsities at which predictors are compared with the oracle.

    Returns
    -------
    dict
        `tables` and `rows`, the numbers of tables and rows that were read; `above_oracle`, the result of the function
        `above_oracle`.

    Raises
    ------
    InputError
        When an invariant is violated; the message shows the files and the first rows.
    """
    found, means, count = [], [], 0
    columns = list(dict.fromkeys(["sparsity", "recall", *compared_metrics()]))
    gold: dict[tuple[Any, ...], tuple[Any, pd.Series]] = {}
    for path, by_document, run in zip(tables, documents, runs, strict=True):
        table = read_table(path, READ)
        count += len(table)
        nested = (run["nested"], not run.get("falling")) if run.get("nested") else None
        found += [violation.message(path) for violation in violations(table, nested)]
        tokens = table[table["grid"] == "token"]
        heads = tokens.groupby(["layer", "head"])["gold_sparsity"].first()
        found += [
            violation.message(path)
            for violation in _other_gold(tokens, *gold.setdefault((run["attention"], run["seed"]), (path, heads)))
        ]
        mean = tokens.groupby(["point", "window", "keep"], sort=False)[columns].mean()
        found += [violation.message(by_document) for violation in _other_means(by_document, mean)]
        names = ("attention", "predictor", "projection", "bound")
        means.append(mean.reset_index().assign(**{name: run.get(name) for name in names}))
    if found:
        more = [f"and {len(found) - SHOWN} more"] if len(found) > SHOWN else []
        raise InputError("the evaluations violate invariants:", *found[:SHOWN], *more)
    return {"tables": len(means), "rows": count, "above_oracle": above_oracle(means, sparsities)}


def _other_gold(tokens: pd.DataFrame, first: Any, heads: pd.Series) -> Iterator[Violation]:
    """Yield rows whose gold sparsity differs from that of their head in the first table of the same run."""
    expected = heads.reindex(pd.MultiIndex.from_frame(tokens[["layer", "head"]])).to_numpy()
    wrong = ~((tokens["gold_sparsity"] - expected).abs() <= ROUNDING)
    if wrong.any():
        rows = tokens.assign(there=expected).loc[wrong, [*PLACE, "gold_sparsity", "there"]]
        yield Violation(f"gold_sparsity must be that of the head in {first}", rows)


def _other_means(path: Any, mean: pd.DataFrame) -> Iterator[Violation]:
    """Yield points for which the mean over documents differs from the mean over heads."""
    columns, keys = list(mean.columns), [str(name) for name in mean.index.names]
    table = read_table(path, ["document", *keys, "examples", *columns])
    weighted = table.assign(**{name: table[name] * table["examples"] for name in columns})
    sums = weighted.groupby(keys, sort=False)[["examples", *columns]].sum(min_count=1)
    ours = sums[columns].div(sums["examples"], axis=0)
    for name in columns:
        size = mean[name].abs()
        near = (ours[name] - mean[name]).abs() <= ROUNDING * (10 * size).where(size > 1, 1)
        wrong = ~near & ~(ours[name].isna() & mean[name].isna())
        if wrong.any():
            rows = pd.DataFrame({name: ours[name], "of heads": mean[name]})[wrong].reset_index()
            yield Violation(f"{name} of documents must average to that of heads", rows)


def above_oracle(means: Sequence[pd.DataFrame], sparsities: Sequence[float]) -> list[dict[str, Any]]:
    """Find predictors whose recall at equal sparsity is higher than that of the oracle, the upper bound.

    This is not an error: the oracle keeps the same number of keys for every query, and a predictor need not.

    Parameters
    ----------
    means : sequence of pandas.DataFrame
        For each table the means by point, with the columns attention, predictor, projection, bound, point, window,
        keep, sparsity and recall.
    sparsities : sequence of float
        Sparsities at which they are compared, for each window and each choice of kept tokens.

    Returns
    -------
    list of dict
        attention, predictor, projection, window, keep, at_sparsity, recall, oracle; the largest difference comes first.
    """
    if not means:
        return []
    keys = ["attention", "window", "keep", "predictor", "projection"]
    points = pd.concat(means).groupby([*keys, "point"], sort=False)[["sparsity", "recall"]].mean()
    attained = {}
    for names, series in points.groupby(keys, sort=False):
        corners = hulls(series[["sparsity"]].to_numpy().T, series[["recall"]].to_numpy().T)
        attained[names] = corners.attainable(np.array(sparsities))[0]
    oracles = {name for mean in means for name in mean.loc[mean["bound"] == "upper", "predictor"].unique()}
    found = []
    for names, recalls in attained.items():
        for oracle in sorted(oracles - {names[3]}):
            bests = attained.get((*names[:3], oracle, NO_PROJECTION), np.full(len(recalls), np.inf))
            for at, ours, best in zip(sparsities, recalls, bests, strict=True):
                if ours > best + ROUNDING:
                    row = dict(zip(keys, names, strict=True)) | {"window": int(str(names[1])), "at_sparsity": at}
                    found.append(row | {"recall": round(float(ours), 6), "oracle": round(float(best), 6)})
    return sorted(found, key=lambda row: row["oracle"] - row["recall"])
