"""Whether queries and keys at a small distance share buckets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from sparse_attention.summaries.base import Inputs, Table
from sparse_attention.summaries.predictors import IDENTITY, by_series
from sparse_attention.summaries.reading import Paths, Runs
from sparse_attention.summaries.statistics import over_seeds, stack

PAIRS = ("pairs", "gold_pairs")
SHARES = ("share", "gold_share")
BIN_KEYS = (*IDENTITY, "point", "layer", "distance_bin")
KEYS = (*BIN_KEYS, "common")


class CommonBuckets(Table):
    """Means over seeds, one row per predictor, point, layer, distance and number of common buckets."""

    name = "common_buckets"
    title = "Buckets in common, by distance"
    section = "buckets"
    category = "The buckets"
    order = 20
    needs = ("common",)
    large = True
    latex = True
    caption = """
    Pairs and gold pairs, per head and example, by the squared distance of query and key as the predictor sees them
    and by the number of buckets that they have in common.
    ``share`` and ``gold_share`` are shares of the pairs, and of the gold pairs, in the same bin of distances. Bins
    end at powers of two and are the same for all heads.
    """

    def make(self, inputs: Inputs, setting: Mapping[str, Any]) -> pd.DataFrame:
        files = inputs.files["common"]
        return common_buckets_table(files.paths, files.runs)


def common_buckets_table(paths: Paths, runs: Runs) -> pd.DataFrame:
    """Average the pairs by distance and number of common buckets over seeds.

    A combination without a row in the table of a seed counts as 0 there.

    Returns
    -------
    pandas.DataFrame
        `KEYS`, `seeds`, `PAIRS` with `_ci95`, and `share` and `gold_share`: the share of the pairs, and of the gold
        pairs, in the same bin of distances that have this number of common buckets.
    """
    columns = ("point", "layer", "distance_bin", "common", *PAIRS)
    tables = [over_seeds(_filled(rows), KEYS, PAIRS) for rows in by_series(paths, runs, columns)]
    table = stack(tables, [*KEYS, "seeds", *PAIRS])
    sums = table.groupby(list(BIN_KEYS), sort=False, dropna=False)[list(PAIRS)].transform("sum")
    shares = {
        share: table[pairs] / sums[pairs].where(sums[pairs] > 0) for share, pairs in zip(SHARES, PAIRS, strict=True)
    }
    return table.assign(**shares)


def _filled(rows: pd.DataFrame) -> pd.DataFrame:
    """Add rows of 0 so that every seed has the same rows; sort by point, layer, distance and common buckets."""
    keys = [name for name in KEYS if name not in IDENTITY]
    wide = rows.pivot(index=keys, columns="seed", values=list(PAIRS)).fillna(0)
    filled = (
        wide.stack("seed", future_stack=True).reset_index().assign(**{name: rows[name].iloc[0] for name in IDENTITY})
    )
    points = {point: rank for rank, point in enumerate(rows["point"].unique())}
    distances = {name: float(name.removeprefix(">").split("-")[0]) for name in rows["distance_bin"].unique()}
    order = filled.assign(point=filled["point"].map(points), distance_bin=filled["distance_bin"].map(distances))
    return filled.loc[order.sort_values(keys).index]
