"""What must hold of every evaluation, whatever was predicted: a run that breaks it must not be published."""

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
"""Metrics that can move in one direction only when a support grows."""
PLACE = ("layer", "head", "point", "window", "keep", "grid")
KEPT = (("none", "cls", "cls+last"), ("none", "last", "cls+last"))
"""Choices of kept tokens that lie one within the other."""
TOLERANCE = 1e-9
ROUNDING = 2e-6
"""What means of numbers up to 1 with six digits may differ by; for larger ones it grows with them."""
SHOWN_ROWS, SHOWN = 3, 10
"""How many rows are named of each broken invariant, and how many broken invariants."""


class Broken(NamedTuple):
    """Rows of one table that break an invariant: what must hold, and the rows with the columns that tell."""

    rule: str
    rows: pd.DataFrame

    def told(self, path: Any) -> str:
        """Name the file and the first rows."""
        told = []
        for row in self.rows.head(SHOWN_ROWS).to_dict("records"):
            told.append(", ".join(f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}"
                                  for name, value in row.items()))  # fmt: skip
        more = f"; and {len(self.rows) - len(told)} more rows" if len(self.rows) > len(told) else ""
        return f"{path}: {self.rule}; not so in: {'; '.join(told)}{more}"


def broken_in(table: pd.DataFrame, nested: tuple[str, bool] | None = None) -> Iterator[Broken]:
    """Yield what one evaluation breaks.

    Parameters
    ----------
    table : pandas.DataFrame
        Of `evaluate_predictor`.
    nested : (str, bool), optional
        A setting along which supports are nested, and whether they grow with it.
    """

    def select(rule: str, rows: np.ndarray | pd.Series, *columns: str) -> Iterator[Broken]:
        if np.asarray(rows).any():
            yield Broken(rule, table.loc[np.asarray(rows), [*PLACE, *columns]])

    yield from select("a row must stand once", table.duplicated(list(PLACE)))
    for name, metric in METRICS.items():
        yield from select(f"{name} must be {metric.range}", _outside(table[name], metric), name)
    above = table["recall"] > table["best_recall"] + TOLERANCE
    yield from select("recall must be at most best_recall, that of the best pairs", above, "recall", "best_recall")
    # a query that is not exact may be lost in the sixth digit of the mean; what it misses is then as small
    missing = (table["exactness"] == 1) & (table["recall"] < 1 - 10 * ROUNDING)
    yield from select("recall must be 1 where every query is exact", missing, "exactness", "recall")
    yield from _falling(table, "window", table["window"], "as the window grows")
    for chain in KEPT:
        if chain[1] in set(table["keep"]) or chain is KEPT[0]:
            rows = table[table["keep"].isin(chain)]
            yield from _falling(rows, "keep", rows["keep"].map(chain.index), "as more tokens are kept")
    if nested:
        yield from _falling_along(table, *nested)


def _outside(values: pd.Series, metric: MetricFacts) -> pd.Series:
    """Tell which values a metric cannot have."""
    low, high = (np.inf * sign if end is None else end for end, sign in ((metric.low, -1), (metric.high, 1)))
    return ~values.between(low, high) & ~(values.isna() & metric.unknown)


def _falling(table: pd.DataFrame, axis: str, order: pd.Series, how: str) -> Iterator[Broken]:
    """Find where metrics fall that cannot, or rise, although supports grow along `axis`, whose order is given."""
    others = [name for name in PLACE if name != axis]
    rows = table.assign(order=order).sort_values([*others, "order"], kind="stable")
    before = rows.groupby(others, sort=False)[[*MOVING, axis]].shift()
    for name, metric in MOVING.items():
        rise = rows[name] - before[name]
        for never, wrong in (("fall", metric.rises & (rise < -TOLERANCE)), ("rise", metric.falls & (rise > TOLERANCE))):
            if wrong.any():
                found = rows.loc[wrong, [*PLACE, name]].assign(before=before[name], at=before[axis])
                yield Broken(f"{name} must not {never} {how}", found.rename(columns={"at": f"{axis} before"}))


def _falling_along(table: pd.DataFrame, setting: str, grows: bool) -> Iterator[Broken]:
    """Find the same along a setting of the predictor; points that have no one number there are left out."""
    points = {point: parse_segment(point) for point in table["point"].unique()}
    values = {point: found[setting] for point, found in points.items() if isinstance(found.get(setting), int | float)}
    rows = table[table["point"].isin(list(values))]
    others = rows["point"].map(
        {point: str({k: v for k, v in points[point].items() if k != setting}) for point in values}
    )
    order = rows["point"].map(values) * (1 if grows else -1)
    for broken in _falling(rows.assign(grid=rows["grid"] + others), "point", order, f"along {setting}"):
        yield broken._replace(rows=broken.rows.assign(grid=rows["grid"]))


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
        What `evaluate_predictor` wrote: the tables by head, and those by document.
    runs : sequence of dict
        Of each file: `predictor`, `projection`, `attention`, `seed`, and `bound`, `nested` and `falling` of the
        predictor where it has them.
    sparsities : sequence of float
        Where predictors are compared with the oracle.

    Returns
    -------
    dict
        `tables` and `rows` that were read; `above_oracle`, see `above_oracle`.

    Raises
    ------
    InputError
        With the files and first rows of what does not hold.
    """
    found, means, count = [], [], 0
    columns = list(dict.fromkeys(["sparsity", "recall", *compared_metrics()]))
    gold: dict[tuple[Any, ...], tuple[Any, pd.Series]] = {}
    for path, by_document, run in zip(tables, documents, runs, strict=True):
        table = read_table(path, READ)
        count += len(table)
        nested = (run["nested"], not run.get("falling")) if run.get("nested") else None
        found += [broken.told(path) for broken in broken_in(table, nested)]
        tokens = table[table["grid"] == "token"]
        heads = tokens.groupby(["layer", "head"])["gold_sparsity"].first()
        found += [
            broken.told(path)
            for broken in _other_gold(tokens, *gold.setdefault((run["attention"], run["seed"]), (path, heads)))
        ]
        mean = tokens.groupby(["point", "window", "keep"], sort=False)[columns].mean()
        found += [broken.told(by_document) for broken in _other_means(by_document, mean)]
        names = ("attention", "predictor", "projection", "bound")
        means.append(mean.reset_index().assign(**{name: run.get(name) for name in names}))
    if found:
        more = [f"and {len(found) - SHOWN} more"] if len(found) > SHOWN else []
        raise InputError("evaluations that cannot be right:", *found[:SHOWN], *more)
    return {"tables": len(means), "rows": count, "above_oracle": above_oracle(means, sparsities)}


def _other_gold(tokens: pd.DataFrame, first: Any, heads: pd.Series) -> Iterator[Broken]:
    """Find rows whose gold sparsity is not that of their head in the first table of the same run."""
    expected = heads.reindex(pd.MultiIndex.from_frame(tokens[["layer", "head"]])).to_numpy()
    wrong = ~((tokens["gold_sparsity"] - expected).abs() <= ROUNDING)
    if wrong.any():
        rows = tokens.assign(there=expected).loc[wrong, [*PLACE, "gold_sparsity", "there"]]
        yield Broken(f"gold_sparsity must be that of the head in {first}", rows)


def _other_means(path: Any, mean: pd.DataFrame) -> Iterator[Broken]:
    """Find points whose documents do not average to what their heads average to."""
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
            yield Broken(f"{name} of documents must average to that of heads", rows)


def above_oracle(means: Sequence[pd.DataFrame], sparsities: Sequence[float]) -> list[dict[str, Any]]:
    """Find predictors that recall more at equal sparsity than the oracle, the one that is an upper bound.

    That is no error: the oracle spends the same number of keys on every query, and a predictor need not.

    Parameters
    ----------
    means : sequence of pandas.DataFrame
        Of each table: attention, predictor, projection, bound, point, window, keep, sparsity, recall.
    sparsities : sequence of float
        Where they are compared, at each window and with each choice of kept tokens.

    Returns
    -------
    list of dict
        attention, predictor, projection, window, keep, at_sparsity, recall, oracle; by how much, most first.
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
