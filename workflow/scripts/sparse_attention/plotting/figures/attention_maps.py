"""Figure: where the keys of a few tokens lie, in full attention and as predicted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from sparse_attention.plotting import style
from sparse_attention.plotting.base import Plot
from sparse_attention.plotting.token_maps import draw_maps


class AttentionMaps(Plot):
    """A row of maps per head: the gold probabilities, and the support of each predictor beside them."""

    name = "attention_maps"
    title = "Attention maps of an example"
    section = "heads"
    category = "The predictors"
    order = 30
    needs = ("attention_maps",)
    may_be_empty = ("attention_maps",)
    settings = ("map_attention.example", "map_attention.sparsity")
    caption = """
    The first tokens of one validation example in one head of the first, the middle and the last layer: in each the head
    that rests least on the first and the last token. Each row of a map is a query, each column a key.
    On the left, the darker a cell, the more of its query's probability full attention gives to its key; white cells
    get none. Beside it is what each predictor keeps at its point nearest to the configured sparsity: dark cells are
    gold pairs that it finds, crosses gold pairs that it misses, and pale cells pairs that it keeps in vain.
    The sparsity is that of the whole example, of which a map is a corner.
    """

    def draw(self, tables: Mapping[str, pd.DataFrame], setting: Mapping[str, Any]) -> Figure:
        table = tables["attention_maps"]
        example = f"validation example {setting['map_attention.example']}"
        if table.empty:
            text = "No key that is kept or predicted is among the shown tokens; map_attention.tokens can be higher."
            return style.blank_figure(self.title, style.describe_data(setting, table, example), text)
        tokens = f"first {int(table[['query', 'key']].max().max()) + 1} tokens"
        near = f"points nearest {100 * setting['map_attention.sparsity']:.4g}% sparsity"
        return draw_maps(table, self.title, style.describe_data(setting, table, example, tokens, near))
