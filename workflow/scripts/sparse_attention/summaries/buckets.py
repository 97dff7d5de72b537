"""Tables of the buckets of quantizers: how even they are, and whether what is near shares them."""

from __future__ import annotations

import pandas as pd

from sparse_attention.summaries.models import Paths, Runs
from sparse_attention.summaries.predictors import WHO, by_series
from sparse_attention.summaries.statistics import over_seeds, stack

BUCKETS = ("buckets", "entropy", "largest_share", "empty_share", "balance", "outside_share")
PAIRS = ("pairs", "gold_pairs")
SHARES = ("share", "gold_share")
BUCKET_KEYS = (*WHO, "point", "layer", "head", "side")
BIN_KEYS = (*WHO, "point", "layer", "distance_bin")
COMMON_KEYS = (*BIN_KEYS, "common")


def buckets_table(paths: Paths, runs: Runs) -> pd.DataFrame:
    """Average what `analyse_buckets` says of buckets over seeds: `BUCKET_KEYS`, `seeds`, `examples`, `BUCKETS`."""
    columns = ("point", "layer", "head", "side", "examples", *BUCKETS)
    series = by_series(paths, runs, columns)
    tables = [over_seeds(rows, BUCKET_KEYS, BUCKETS, constant=("examples",)) for rows in series]
    return stack(tables, [*BUCKET_KEYS, "seeds", "examples", *BUCKETS])


def common_buckets_table(paths: Paths, runs: Runs) -> pd.DataFrame:
    """Average the pairs by distance and number of common buckets over seeds.

    A combination without pairs has no row in the table of its seed: there it counts as 0.

    Returns
    -------
    pandas.DataFrame
        `COMMON_KEYS`, `seeds`, `PAIRS` with `_ci95`, and `share` and `gold_share`: of the bin's pairs, and of its gold
        pairs, those with that number of common buckets.
    """
    columns = ("point", "layer", "distance_bin", "common", *PAIRS)
    tables = [over_seeds(_filled(rows), COMMON_KEYS, PAIRS) for rows in by_series(paths, runs, columns)]
    table = stack(tables, [*COMMON_KEYS, "seeds", *PAIRS])
    sums = table.groupby(list(BIN_KEYS), sort=False, dropna=False)[list(PAIRS)].transform("sum")
    shares = {
        share: table[pairs] / sums[pairs].where(sums[pairs] > 0) for share, pairs in zip(SHARES, PAIRS, strict=True)
    }
    return table.assign(**shares)


def _filled(rows: pd.DataFrame) -> pd.DataFrame:
    """Add rows of 0 so that every seed has the same ones; order them by point, layer, distance and common buckets."""
    keys = [name for name in COMMON_KEYS if name not in WHO]
    wide = rows.pivot(index=keys, columns="seed", values=list(PAIRS)).fillna(0)
    filled = wide.stack("seed", future_stack=True).reset_index().assign(**{name: rows[name].iloc[0] for name in WHO})
    points = {point: place for place, point in enumerate(rows["point"].unique())}
    distances = {name: float(name.removeprefix(">").split("-")[0]) for name in rows["distance_bin"].unique()}
    order = filled.assign(point=filled["point"].map(points), distance_bin=filled["distance_bin"].map(distances))
    return filled.loc[order.sort_values(keys).index]
