"""Where the keys of a few tokens lie, in full attention and as predicted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from sparse_attention.files.tables import read_table
from sparse_attention.summaries.base import Inputs, Table
from sparse_attention.summaries.predictors import IDENTITY, describe
from sparse_attention.summaries.reading import Paths, Runs
from sparse_attention.summaries.statistics import stack

OF_MAPS = ("point", "sparsity", "layer", "head", "query", "key", "query_token", "key_token", "probability", "predicted")
COLUMNS = (*IDENTITY, *OF_MAPS)


class AttentionMaps(Table):
    """One row per attention, predictor, head and pair of tokens that is kept in full attention or predicted."""

    name = "attention_maps"
    title = "Attention maps of an example"
    section = "heads"
    category = "The predictors"
    order = 30
    needs = ("maps",)
    settings = ("map_attention.sparsity",)
    large = True
    caption = """
    The first tokens of one validation example in one head of the first, the middle and the last layer: the pairs of
    query and key that full attention gives a probability (``probability``), and those that a predictor keeps
    (``predicted``). Each predictor is shown with the projection and at the point whose sparsity on the example is
    nearest to the configured one. In each layer it is the head that rests least on the first and the last token.
    """

    def make(self, inputs: Inputs, setting: Mapping[str, Any]) -> pd.DataFrame:
        files = inputs.files["maps"]
        return attention_maps_table(files.paths, files.runs, setting["map_attention.sparsity"])


def attention_maps_table(paths: Paths, runs: Runs, sparsity: float) -> pd.DataFrame:
    """Return the maps of the rule `map_attention` with `IDENTITY` in front, one for each attention and predictor.

    Of several maps of a predictor, the one whose sparsity is nearest to `sparsity` is taken, the first of equals; a map
    without rows, of tokens whose keys all lie behind the shown ones, is left out.
    """
    nearest: dict[tuple[str, str], tuple[float, pd.DataFrame]] = {}
    for path, run in zip(paths, runs, strict=True):
        known, rows = describe(dict(run)), read_table(path, OF_MAPS)
        if rows.empty:
            continue
        distance = abs(rows["sparsity"].iloc[0] - sparsity)
        place = known["attention"], known["predictor"]
        if place not in nearest or distance < nearest[place][0]:
            # texts that are all numbers are read as such
            texts = rows[["query_token", "key_token"]].astype(str)
            nearest[place] = distance, rows.assign(**{name: known[name] for name in IDENTITY}, **texts)
    return stack([rows[list(COLUMNS)] for _, rows in nearest.values()], COLUMNS)
