"""How evenly quantizers fill their buckets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from sparse_attention.summaries.base import Inputs, Table
from sparse_attention.summaries.predictors import IDENTITY, by_series
from sparse_attention.summaries.reading import Paths, Runs
from sparse_attention.summaries.statistics import over_seeds, stack

MEASURED = ("buckets", "entropy", "largest_share", "empty_share", "balance", "outside_share")
KEYS = (*IDENTITY, "point", "layer", "head", "side")


class Buckets(Table):
    """Means over tables and seeds, one row per predictor, point, layer, head and side."""

    name = "buckets"
    title = "How evenly buckets are filled"
    section = "buckets"
    category = "The buckets"
    order = 10
    needs = ("buckets",)
    large = True
    latex = True
    caption = """
    How evenly quantizers fill their buckets, for each layer, head and side: entropy to the base of the number of
    buckets (1 when all hold equally many vectors), the share of vectors in the fullest bucket, the share of empty
    buckets, and the share of vectors in no bucket.
    ``balance`` is the share of the fullest bucket times the number of buckets, 1 at best. Means over a few
    validation examples, over tables, then over seeds.
    """

    def make(self, inputs: Inputs, setting: Mapping[str, Any]) -> pd.DataFrame:
        files = inputs.files["buckets"]
        return buckets_table(files.paths, files.runs)


def buckets_table(paths: Paths, runs: Runs) -> pd.DataFrame:
    """Average the tables of buckets from `analyse_buckets` over seeds: `KEYS`, `seeds`, `examples`, `MEASURED`."""
    columns = ("point", "layer", "head", "side", "examples", *MEASURED)
    series = by_series(paths, runs, columns)
    tables = [over_seeds(rows, KEYS, MEASURED, constant=("examples",)) for rows in series]
    return stack(tables, [*KEYS, "seeds", "examples", *MEASURED])
