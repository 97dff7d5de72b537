"""Kept pairs of predictors, and of the gold support, by distance of query and key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from sparse_attention.summaries.base import Inputs, Table
from sparse_attention.summaries.predictors import IDENTITY, by_series
from sparse_attention.summaries.reading import Paths, Runs
from sparse_attention.summaries.statistics import over_seeds, stack

GOLD = "gold"
KEYS = (*IDENTITY, "point", "sparsity", "distance")
VALUES = ("share", "gold_share")


class Offsets(Table):
    """Shares of pairs, one row per predictor and bin of distance."""

    name = "offsets"
    title = "Kept pairs by distance"
    section = "distances"
    category = "The predictors"
    order = 10
    needs = ("offsets",)
    tables = ("predictors",)
    settings = ("figures.heatmap.sparsity",)
    large = True
    latex = True
    caption = """
    The share of kept pairs by distance of query and key, for each predictor at its point nearest to the configured
    sparsity, and for the gold support; windows and kept tokens are not counted.
    Distances are in positions: tokens, or blocks where the projection names a block size.
    """

    def make(self, inputs: Inputs, setting: Mapping[str, Any]) -> pd.DataFrame:
        files, sparsity = inputs.files["offsets"], setting["figures.heatmap.sparsity"]
        return offsets_table(inputs.table("predictors"), files.paths, files.runs, sparsity)


def nearest_points(points: pd.DataFrame, sparsity: float) -> pd.DataFrame:
    """Return the row nearest to `sparsity` for each predictor, projection and attention.

    Only rows with the smallest window and the fewest kept tokens that were evaluated are considered, since these add
    least to the predicted support.

    Parameters
    ----------
    points : pandas.DataFrame
        The table `predictors`.
    sparsity : float
        The sparsity.
    """
    kept = next(name for name in ("none", "cls", "last", "cls+last") if (points["keep"] == name).any())
    plain = points[(points["keep"] == kept) & (points["window"] == points["window"].min())]
    distance = (plain["sparsity"] - sparsity).abs()
    groups = distance.groupby([plain[name] for name in ("attention", "projection", "predictor")], sort=False)
    return plain.loc[groups.idxmin()]


def offsets_table(points: pd.DataFrame, paths: Paths, runs: Runs, sparsity: float) -> pd.DataFrame:
    """Return the share of kept pairs in each bin of distance, a row per predictor and bin.

    Pairs are averaged over layers within a seed, divided by their sum, and averaged over seeds.

    Parameters
    ----------
    points : pandas.DataFrame
        The table `predictors`.
    paths : sequence of path
        Tables of offsets from `evaluate_predictor`, which count pairs without windows and kept tokens.
    runs
        See `by_series`.
    sparsity : float
        Each predictor is shown at its point nearest to this sparsity.

    Returns
    -------
    pandas.DataFrame
        `KEYS` (`distance` in positions: tokens, or blocks where the projection names a block size), `seeds`, and
        `share` and `gold_share` with their `_ci95`.
    """
    chosen = nearest_points(points, sparsity).set_index(["attention", "projection", "predictor"])
    found = []
    for rows in by_series(paths, runs, ("layer", "point", "distance", "edges")):
        point = chosen.loc[tuple(rows[name].iloc[0] for name in chosen.index.names)]
        shares = {}
        for name, column in ((point["point"], "share"), (GOLD, "gold_share")):
            # the gold support is in every file of the series
            own = rows[rows["point"] == name].drop_duplicates(["seed", "layer", "distance"])
            edges = own.groupby(["seed", "distance"], sort=False)["edges"].mean()
            shares[column] = edges / edges.groupby(level="seed").transform("sum")
        constants = {name: rows[name].iloc[0] for name in IDENTITY} | {
            name: point[name] for name in ("point", "sparsity")
        }
        found.append(pd.DataFrame(shares).reset_index().assign(**constants))
    return over_seeds(stack(found, [*KEYS, "seed", *VALUES]), KEYS, VALUES)
