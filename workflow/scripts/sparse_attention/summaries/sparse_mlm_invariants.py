"""Check what must hold of the language model under predicted attention before a table is made of it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from sparse_attention.errors import InputError
from sparse_attention.files.segments import parse_segment
from sparse_attention.metrics.facts import MetricFacts, support_metrics
from sparse_attention.summaries.invariants import SHOWN, TOLERANCE, Violation, outside
from sparse_attention.summaries.sparse_mlm_jobs import POINT, Job
from sparse_attention.summaries.statistics import half_width

RANGES = support_metrics() | {
    "output_error": MetricFacts("output_error", "Output error", "", high=None),
    "empty_queries": MetricFacts("empty_queries", "Queries without keys", ""),
}
OF_LOSSES = {
    "masked_tokens": MetricFacts("masked_tokens", "Masked tokens", "", high=None),
    "loss": MetricFacts("loss", "Loss", "", high=None),
    "accuracy": MetricFacts("accuracy", "Accuracy", ""),
}
GOLDS = {"current", "dense"}
LEAST = 0.005
"""Differences of the loss in nats up to this are not judged: leaving out weak keys may truly help a little."""
EXACT_ERROR = 1e-3
"""Largest output error of a head whose queries are all exact. Numbers have six digits, so an exactness of 1 may hide
one query of two million."""


class Difference(NamedTuple):
    """How much higher one loss is than another: the mean over all masked tokens, and half its 95 % interval."""

    mean: float
    half: float

    @property
    def is_worse(self) -> bool:
        """Whether the whole interval is above what is not judged."""
        return self.mean - self.half > LEAST


def check(jobs: Sequence[Job]) -> None:
    """Check all jobs.

    Parameters
    ----------
    jobs : sequence of Job
        As `read_jobs` returns them.

    Raises
    ------
    InputError
        When an invariant is violated; the message shows the files, the rules and the first rows.
    """
    found: list[str] = []
    full = {job.of_full: job for job in jobs if job.is_full}
    for job in jobs:
        own = [violation.message(job.path) for violation in _of_losses(job)]
        own += [violation.message(job.heads_path) for violation in _of_heads(job)]
        if job.of_full not in full:
            attention, seed, steps = job.of_full
            trained = f", trained further for {steps} steps" if steps else ""
            missing = f"full attention of {attention}, seed {seed}{trained}, is missing, so nothing compares with it"
            own.append(f"{job.path}: {missing}")
        elif not own:
            own = [violation.message(job.path) for violation in _against_full(job, full[job.of_full])]
        found += own
    if found:
        more = [f"and {len(found) - SHOWN} more"] if len(found) > SHOWN else []
        raise InputError("the language model under predicted attention violates invariants:", *found[:SHOWN], *more)


def _of_losses(job: Job) -> Iterator[Violation]:
    """Yield rows that are repeated, and losses and accuracies that cannot be."""
    rows, place = job.losses, [*POINT, "block"]
    if rows.empty:
        yield Violation("at least one block must be evaluated", rows)
    if (repeated := rows.duplicated(place)).any():
        yield Violation("a row must not be repeated", rows.loc[repeated, place])
    for name, fact in OF_LOSSES.items():
        # a block in which no token is masked has no loss
        wrong = (outside(rows[name], fact) | ~np.isfinite(rows[name])) & (rows["masked_tokens"] != 0)
        if wrong.any():
            yield Violation(f"{name} must be a finite number {fact.range}", rows.loc[wrong, [*place, name]])


def _of_heads(job: Job) -> Iterator[Violation]:
    """Yield rows of the table by head that cannot be."""
    rows, place = job.heads, [*POINT, "gold", "layer", "head"]
    if (unknown := ~rows["gold"].isin(GOLDS)).any():
        yield Violation("gold must be current or dense", rows.loc[unknown, place])
    if (repeated := rows.duplicated(place)).any():
        yield Violation("a row must not be repeated", rows.loc[repeated, place])
    for name, fact in RANGES.items():
        if (wrong := outside(rows[name], fact)).any():
            yield Violation(f"{name} must be {fact.range}", rows.loc[wrong, [*place, name]])
    # only on the activations that the head itself has seen is its output that of full attention
    exact = (rows["gold"] == "current") & (rows["exactness"] == 1)
    if (wrong := exact & ~(rows["output_error"] <= EXACT_ERROR)).any():
        rule = f"output_error must be at most {EXACT_ERROR:g} where every query is exact"
        yield Violation(rule, rows.loc[wrong, [*place, "exactness", "output_error"]])
    if job.run.get("bound") == "upper" and job.run.get("nested"):
        yield from _rising_sparsity(job)
    if not job.is_full:
        yield from _other_points(job)


def _other_points(job: Job) -> Iterator[Violation]:
    """Yield points that do not have both gold supports of the same heads."""
    expected = job.heads[["layer", "head"]].drop_duplicates()
    for point, _, heads in job.points():
        sizes = {gold: int((heads["gold"] == gold).sum()) for gold in sorted(GOLDS)}
        if heads.empty or any(size != len(expected) for size in sizes.values()):
            rows = pd.DataFrame([{**point, "heads": len(expected), **sizes}])
            yield Violation("every point of the losses must have a row for each gold support and head", rows)


def budgets(job: Job) -> pd.DataFrame:
    """Return the points of a nested predictor by rising budget; those whose nested setting is no number are left out.

    `series` is the same for points that differ in the nested setting only, `budget` rises with the support.
    """
    points = job.losses[list(POINT)].drop_duplicates(ignore_index=True)
    settings = [parse_segment(setting) for setting in points["setting"]]
    values = [setting.pop(job.run["nested"], None) for setting in settings]
    known = [isinstance(value, int | float) for value in values]
    points = points.assign(others=[str(setting) for setting in settings]).loc[known]
    sign = -1 if job.run.get("falling") else 1
    budget = [sign * value for value, one in zip(values, known, strict=True) if one]
    series = points.groupby(["others", *POINT[1:]], sort=False).ngroup()
    return points.assign(series=series, budget=budget).sort_values(["series", "budget"], kind="stable")


def _rising_sparsity(job: Job) -> Iterator[Violation]:
    """Yield heads whose support gets sparser where the budget of the upper bound grows."""
    rows = job.heads.merge(budgets(job)[[*POINT, "series", "budget"]], on=list(POINT))
    others = ["gold", "layer", "head", "series"]
    rows = rows.sort_values([*others, "budget"], kind="stable", ignore_index=True)
    before = rows.groupby(others, sort=False)["sparsity"].shift()
    if (wrong := rows["sparsity"] > before + TOLERANCE).any():
        shown = rows.assign(before=before).loc[wrong, [*POINT, "gold", "layer", "head", "sparsity", "before"]]
        yield Violation("sparsity of an upper bound must not rise as its supports grow", shown)


def _against_full(job: Job, full: Job) -> Iterator[Violation]:
    """Yield points with other blocks than full attention, and upper bounds that contradict it or one another."""
    columns = ["block", "document", "masked_tokens"]
    expected, other = full.losses[columns], []
    for point, losses, _ in job.points():
        if not np.array_equal(losses[columns].to_numpy(), expected.to_numpy()):
            sizes = {"blocks": len(losses), "masked tokens": int(losses["masked_tokens"].sum())}
            there = {"blocks there": len(expected), "masked tokens there": int(expected["masked_tokens"].sum())}
            other.append({**point, **sizes, **there})
    if other:
        yield Violation(f"blocks, documents and masked_tokens must be those of {full.path}", pd.DataFrame(other))
    # a model that was trained further may be better than the one with full attention
    elif job.run.get("bound") == "upper" and not job.steps:
        yield from _better_than_full(job, full)
        if job.run.get("nested"):
            yield from _worse_with_more(job)


def _better_than_full(job: Job, full: Job) -> Iterator[Violation]:
    wrong = []
    for point, losses, _ in job.points():
        found = difference(full.losses, losses)
        if found.is_worse:
            wrong.append({**point, "full is worse by": found.mean, "±": found.half})
    if wrong:
        rule = f"full attention ({full.path}) must not be worse than an upper bound beyond the 95 % interval"
        yield Violation(rule, pd.DataFrame(wrong))


def _worse_with_more(job: Job) -> Iterator[Violation]:
    losses = {tuple(point.values()): rows for point, rows, _ in job.points()}
    wrong = []
    for _, series in budgets(job).groupby("series", sort=False):
        for (_, less), (_, more) in itertools.combinations(series[list(POINT)].iterrows(), 2):
            found = difference(losses[tuple(more)], losses[tuple(less)])
            if found.is_worse:
                compared = {"than with": less["setting"], "worse by": found.mean, "±": found.half}
                wrong.append({**dict(zip(POINT, more, strict=True)), **compared})
    if wrong:
        rule = "a larger budget of an upper bound must not be worse than a smaller one beyond the 95 % interval"
        yield Violation(rule, pd.DataFrame(wrong))


def difference(losses: pd.DataFrame, others: pd.DataFrame) -> Difference:
    """Return how much higher `losses` are than `others`, both on the same blocks in the same order.

    The difference is paired: it is taken block by block, then averaged over a document's masked tokens, and documents
    are weighted by their masked tokens. The interval is Student's of that weighted mean, mean ± t · standard error
    (1.96 standard errors for many documents; more for few, whose standard error is uncertain). With a single document
    its blocks take the place of documents. A single block cannot be judged: the interval is infinite.

    Parameters
    ----------
    losses, others : pandas.DataFrame
        Rows with `block`, `document`, `masked_tokens` and `loss`.
    """
    masked = losses["masked_tokens"].to_numpy(dtype=float)
    # no loss where nothing is masked
    each = np.where(masked > 0, losses["loss"].to_numpy() - others["loss"].to_numpy(), 0.0)
    units = pd.factorize(losses["document"] if losses["document"].nunique() > 1 else losses["block"])[0]
    weights, sums = np.bincount(units, masked), np.bincount(units, masked * each)
    weights, sums = weights[weights > 0], sums[weights > 0]
    count, total = len(weights), float(weights.sum())
    if count < 2:
        return Difference(float(sums.sum() / total) if total else 0.0, float("inf"))
    mean = float(sums.sum() / total)
    # the deviation of a unit's weighted difference, as if all units had the mean weight
    deviation = np.sqrt(((sums - weights * mean) ** 2).sum() / (count - 1)) * count / total
    return Difference(mean, float(half_width(np.array(deviation), np.array(count))))
