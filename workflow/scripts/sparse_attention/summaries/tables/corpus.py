"""Documents and blocks of each split of the corpus."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from sparse_attention.summaries.base import Inputs, Table

QUANTILES = ("min", "q25", "median", "q75", "max")


class Corpus(Table):
    """Statistics of documents and blocks; names of quantiles begin with `characters_` or `tokens_`."""

    name = "corpus"
    title = "Documents and blocks"
    section = "corpus"
    category = "The corpus"
    order = 10
    needs = ("documents_of_text", "blocks_of_text")
    left_out = ("characters_*", "dropped_tokens", "tokens_min", "tokens_q25", "tokens_q75")
    caption = """
    Documents, characters, tokens and blocks of each split, with the quantiles of a document's length.
    Splits are made by document: no document is in two of them.
    """

    def make(self, inputs: Inputs, setting: Mapping[str, Any]) -> pd.DataFrame:
        documents = inputs.rows("documents_of_text", ["split", "documents", "characters"])
        blocks = inputs.rows("blocks_of_text", ["split", "documents", "tokens"])
        quantiles = {unit: {name: f"{unit}_{name}" for name in QUANTILES} for unit in ("characters", "tokens")}
        blocks = blocks.rename(columns=quantiles["tokens"]).drop(columns="documents")
        return documents.rename(columns=quantiles["characters"]).merge(blocks, on="split", how="left")
