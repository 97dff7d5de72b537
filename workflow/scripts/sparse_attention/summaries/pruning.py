"""Tables of the pruned classifiers: quality, gains and costs with intervals."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd

from sparse_attention.metrics.classification import resampled_metrics
from sparse_attention.metrics.facts import CLASSIFICATION
from sparse_attention.summaries.bootstrap import draws, estimate
from sparse_attention.summaries.statistics import over_seeds

METRICS = tuple(CLASSIFICATION)
SYSTEM = ["pruning", "system", "way"]
DENSE = "dense"
COSTS = ("kept_share", "gflops", "relative_flops")


class Resampled(NamedTuple):
    """The metrics of one system in one way; `values` is float64 ``(1 + replicates, seeds, metrics)``."""

    pruning: str
    system: str
    way: str
    values: np.ndarray


def quality_tables(predictions: pd.DataFrame, kept: pd.DataFrame, replicates: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Summarise every system in every way over seeds.

    Parameters
    ----------
    predictions, kept : DataFrame
        Rows of `predictions.tsv` and `kept.tsv` with `pruning` and `seed`.
    replicates : int
        Number of resamples of the functions for the intervals `_low` and `_high`.

    Returns
    -------
    quality : DataFrame
        One row per pruning, system and way: seeds, functions, positive; kept_share, gflops and relative_flops with
        their intervals over seeds; and each metric with its interval.
    gains : DataFrame
        One row per pruning, system, way and metric: the difference to the dense classifier of the same seed and way,
        with its interval. The difference is paired: both are evaluated on the same resamples.
    """
    costs = _costs(predictions, kept)
    labels = predictions.groupby("function")["label"].first()
    found = list(_resampled(predictions, replicates))
    dense = {(one.pruning, one.way): one.values for one in found if one.system == DENSE}
    quality, gains = [], []
    for one in found:
        named = {"pruning": one.pruning, "system": one.system, "way": one.way, "seeds": one.values.shape[1]}
        named |= {"functions": len(labels), "positive": int(labels.sum())}
        result = estimate(one.values, len(labels))
        row = {**named, **costs[one.pruning, one.system, one.way]}
        for place, metric in enumerate(METRICS):
            row |= {metric: result.mean[place]}
            row |= {f"{metric}_low": result.low[place], f"{metric}_high": result.high[place]}
        quality.append(row)
        if one.system != DENSE:
            result = estimate(one.values - dense[one.pruning, one.way], len(labels))
            for place, metric in enumerate(METRICS):
                ends = {"gain_low": result.low[place], "gain_high": result.high[place]}
                gains.append({**named, "metric": metric, "gain": result.mean[place], **ends})
    return pd.DataFrame(quality), pd.DataFrame(gains)


def _costs(predictions: pd.DataFrame, kept: pd.DataFrame) -> dict[tuple[str, str, str], dict[str, float]]:
    """Return kept share, cost, and cost relative to the dense classifier, by system and way, with intervals."""
    whole = whole_lengths(predictions)
    shares = kept.assign(kept_share=kept["kept"] / kept["function"].map(whole))
    sums = predictions.groupby([*SYSTEM, "seed"], sort=False)[["gflops", "dense_gflops"]].mean()
    table = pd.DataFrame(
        {
            "kept_share": shares.groupby([*SYSTEM, "seed"], sort=False)["kept_share"].mean(),
            "gflops": sums["gflops"],
            "relative_flops": sums["gflops"] / sums["dense_gflops"],
        }
    )
    means = over_seeds(table.reset_index(), SYSTEM, COSTS).drop(columns="seeds").set_index(SYSTEM)
    return dict(zip(means.index, means.to_dict("records"), strict=True))


def whole_lengths(predictions: pd.DataFrame) -> dict[int, int]:
    """Return the number of tokens of each function before any was left out."""
    dense = predictions[predictions["system"] == DENSE]
    return dict(zip(dense["function"], dense["tokens"], strict=True))


def _resampled(predictions: pd.DataFrame, replicates: int) -> Iterator[Resampled]:
    """Yield the metrics of each system and way on all functions and in every resample."""
    functions = predictions["function"].nunique()
    times = np.concatenate([np.ones((1, functions), dtype=np.int64), draws(functions, replicates, stream=0)])
    for (pruning, system, way), rows in predictions.groupby(SYSTEM, sort=False):
        seeds = [own.sort_values("function") for _, own in rows.groupby("seed", sort=True)]
        values = [
            resampled_metrics(own["label"].to_numpy(), own["probability"].to_numpy(), times, METRICS) for own in seeds
        ]
        yield Resampled(str(pruning), str(system), str(way), np.stack(values, axis=1))
