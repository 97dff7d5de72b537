"""Tables of the language model under predicted attention: what each point costs, overall and by layer and head."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from sparse_attention.files.segments import alpha_of
from sparse_attention.metrics.facts import support_metrics
from sparse_attention.summaries.bootstrap import estimate, resampled_means
from sparse_attention.summaries.predictors import IDENTITY, describe
from sparse_attention.summaries.sparse_mlm_jobs import MEASURES, POINT, Job
from sparse_attention.summaries.statistics import over_seeds, stack

SERIES = ("attention", *(name for name in IDENTITY if name != "attention"))
KEYS = (*SERIES, *POINT, "finetuned")
"""Columns that identify a row."""
SIZES = ("blocks", "documents", "masked_tokens")
QUALITY = ("loss", "perplexity", "accuracy")
INCREASE = ("loss_increase", "loss_increase_low", "loss_increase_high")
CURRENT = ("sparsity", "gold_sparsity", "recall", "mass_recall", "exactness", "output_error", "empty_queries")
"""Measures against full attention on the same layer's current activations."""
DENSE = ("recall", "mass_recall", "exactness", "output_error")
"""Measures that are also taken against the model that runs with full attention everywhere."""
BY_HEAD = (*(name for name in KEYS if name not in ("label", "family", "bound")), "gold", "layer", "head")
OF_HEADS = (*(name for name, metric in support_metrics().items() if metric.of_heads), "output_error", "empty_queries")


def sparse_mlm_tables(jobs: Sequence[Job], replicates: int) -> dict[str, pd.DataFrame]:
    """Make both tables from the jobs, which must have passed `sparse_mlm_invariants.check`.

    Parameters
    ----------
    jobs : sequence of Job
        As `read_jobs` returns them.
    replicates : int
        Number of resamples of documents and seeds for the intervals of `loss_increase`.

    Returns
    -------
    dict of str to pandas.DataFrame
        `sparse_mlm`: a row per attention and point, the row of full attention first. `loss` and `accuracy` are means
        over masked tokens, `perplexity` is the exponential of a seed's loss; all are then averaged over seeds.
        `loss_increase` is over full attention of the same attention, seed and blocks, trained further for as many
        steps; empty for softmax, which is no point of comparison. Measures of supports are means over layers and heads,
        then over seeds.
        `sparse_mlm_by_head`: the measures of each point, gold support, layer and head, averaged over seeds.
    """
    full = {job.of_full: job.losses for job in jobs if job.is_full}
    rows: list[dict[str, Any]] = []
    increases: list[np.ndarray] = []
    for job in jobs:
        series = _series(job)
        for point, losses, heads in job.points():
            identity = {**series, **point, "finetuned": job.steps, "seed": job.run["seed"]}
            rows.append(identity | _quality(losses) | _measures(heads))
            increases.append(_resampled_increase(losses, full[job.of_full], replicates))
    by_seed = pd.DataFrame(rows)
    measured = [*CURRENT, *(f"{name}_dense" for name in DENSE)]
    table = over_seeds(by_seed, KEYS, [*QUALITY, *measured], constant=SIZES)
    found = [
        _increase(np.stack([increases[place] for place in own.index], axis=1), own)
        for _, own in by_seed.groupby(list(KEYS), sort=False, dropna=False)
    ]
    table = table.join(pd.DataFrame(found, columns=list(INCREASE)))
    order = [*KEYS, "seeds", *SIZES, *_with_intervals(QUALITY), *INCREASE, *_with_intervals(measured)]
    return {"sparse_mlm": _in_order(table[order]), "sparse_mlm_by_head": _in_order(_by_head(jobs))}


def _with_intervals(columns: Sequence[str]) -> list[str]:
    return [name for column in columns for name in (column, f"{column}_ci95")]


def _series(job: Job) -> dict[str, Any]:
    described = describe(dict(job.run))
    return {name: described[name] for name in SERIES}


def _quality(losses: pd.DataFrame) -> dict[str, Any]:
    """Return the means over the masked tokens of one seed, and what they are means over."""
    known = losses[losses["masked_tokens"] > 0]
    masked = known["masked_tokens"].to_numpy(dtype=float)
    loss = float((known["loss"].to_numpy() * masked).sum() / masked.sum())
    return {
        "blocks": len(losses),
        "documents": losses["document"].nunique(),
        "masked_tokens": int(masked.sum()),
        "loss": loss,
        "perplexity": float(np.exp(loss)),
        "accuracy": float((known["accuracy"].to_numpy() * masked).sum() / masked.sum()),
    }


def _measures(heads: pd.DataFrame) -> dict[str, float]:
    """Return the means over layers and heads; NaN for full attention, which predicts nothing."""
    of_gold = {gold: heads[heads["gold"] == gold].sort_values(["layer", "head"]) for gold in ("current", "dense")}
    found = {name: float(of_gold["current"][name].mean()) for name in CURRENT}
    return found | {f"{name}_dense": float(of_gold["dense"][name].mean()) for name in DENSE}


def _resampled_increase(losses: pd.DataFrame, full: pd.DataFrame, replicates: int) -> np.ndarray:
    """Return the increase of one seed's loss over all documents and in every resample, float64 ``(1 + replicates,)``.

    Full attention is resampled together with the point, so that documents that are hard for both do not count.
    """
    masked = losses["masked_tokens"].to_numpy(dtype=float)
    each = np.where(masked > 0, losses["loss"].to_numpy() - full["loss"].to_numpy(), 0.0)
    # sorted, so that every point and seed has the same document in the same place
    names, documents = np.unique(losses["document"].to_numpy(dtype=str), return_inverse=True)
    weights = np.bincount(documents, masked, len(names))
    sums = np.bincount(documents, masked * each, len(names))
    known = weights > 0
    return resampled_means(sums[known] / weights[known], weights[known], replicates)


def _increase(resampled: np.ndarray, rows: pd.DataFrame) -> dict[str, float]:
    """Return the increase with its intervals, from ``(1 + replicates, seeds)``; empty for softmax."""
    if alpha_of(rows["attention"].iloc[0]) == 1:
        return dict.fromkeys(INCREASE, float("nan"))
    found = estimate(resampled, int(rows["documents"].iloc[0]))
    return dict(zip(INCREASE, map(float, (found.mean, found.low, found.high)), strict=True))


def _by_head(jobs: Sequence[Job]) -> pd.DataFrame:
    """Return the measures of each point, gold support, layer and head, averaged over seeds."""
    frames = []
    for job in jobs:
        if not job.is_full:
            own = job.heads.assign(**_series(job), finetuned=job.steps, seed=job.run["seed"])
            frames.append(own.sort_values(["gold", "layer", "head"], kind="stable"))
    rows = stack(frames, [*BY_HEAD, "seed", "examples", *MEASURES])
    table = over_seeds(rows, BY_HEAD, OF_HEADS, constant=("examples",))
    return table.drop(columns=[name for name in table if str(name).endswith("_ci95")])


def _in_order(table: pd.DataFrame) -> pd.DataFrame:
    """Sort rows by attention, predictor, projection and point, in order of first appearance, then by further steps."""
    point = table.groupby(list(POINT), sort=False, dropna=False).ngroup().to_numpy()
    names = [pd.factorize(table[name])[0] for name in ("projection", "predictor", "attention")]
    return table.iloc[np.lexsort((table["finetuned"].to_numpy(), point, *names))].reset_index(drop=True)
