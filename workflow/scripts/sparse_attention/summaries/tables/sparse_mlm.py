"""The language model under predicted attention at every point."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd

from sparse_attention.summaries import latex
from sparse_attention.summaries.base import Table
from sparse_attention.summaries.wording import spell

NAMES = {
    "label": "Predictor",
    "attention": "Attention",
    "projection": "Projection",
    "setting": "Setting",
    "window": "Win.",
    "keep": "Kept",
    "finetuned": "Steps",
}
"""Header of each column that identifies a row; three of them are left out where they say nothing."""
COLUMNS = {
    "perplexity": ("PPL", 1),
    "loss_increase": (r"$\Delta$ loss", 3),
    "sparsity": ("Spars.", 3),
    "recall": ("Rec.", 2),
    "mass_recall": ("Mass", 2),
    "exactness": ("Exact", 2),
    "output_error": ("Error", 2),
    "empty_queries": ("Empty", 2),
}
"""Header of each measured column as LaTeX, and its number of decimals."""
NOTE = (
    "The language model under predicted attention; plus or minus half the 95 % interval: of the perplexity over seeds, "
    "of the loss increase by bootstrap over documents and seeds."
)


class SparseMlm(Table):
    """Made by `sparse_mlm_tables`."""

    name = "sparse_mlm"
    title = "The language model at every point"
    section = "sparse_mlm"
    category = "The language model under predicted attention"
    order = 10
    needs = ("sparse_mlm_losses", "sparse_mlm_heads", "full_mlm_losses")
    left_out = (
        "predictor",
        "family",
        "bound",
        "seeds",
        "documents",
        "masked_tokens",
        "loss",
        "gold_sparsity",
        "*_dense",
    )
    latex = True
    made_by = "summarise_sparse_mlm"
    caption = """
    The masked language model with each predictor's support in place of full attention in all layers at once.
    ``loss_increase`` is over full attention with the same blocks and masks, in nats per masked token, with its 95 %
    bootstrap interval over documents and seeds. Supports are compared with those of full attention on the activations
    that reach each layer, averaged over layers and heads; columns ending in ``_dense`` in the file compare with the
    model that runs with full attention everywhere. ``output_error`` is the relative error of the heads' outputs,
    ``empty_queries`` the share of queries without any key. Such a query has an output of zero; where
    ``dense_empty_rows`` is yes it sees all keys, as in the published code. ``finetuned`` is the number of steps for
    which training went on with the predicted supports; they are compared with full attention trained as long.
    """

    def to_latex(self, table: pd.DataFrame, setting: Mapping[str, Any]) -> str:
        predicted = table[table["setting"].notna()]
        several = {"attention": table["attention"].nunique() > 1, "projection": predicted["projection"].nunique() > 2,
                   "finetuned": (table["finetuned"] > 0).any()}  # fmt: skip
        identity = {name: header for name, header in NAMES.items() if several.get(name, True)}
        rows = [
            [_named(row, name) for name in identity]
            + [_measured(row, name, digits) for name, (_, digits) in COLUMNS.items()]
            for row in table.to_dict("records")
        ]
        headers = [*identity.values(), *(header for header, _ in COLUMNS.values())]
        return latex.tabular([("", headers)], rows, NOTE)


def _named(row: Mapping[Hashable, Any], column: str) -> str:
    """Return a cell that identifies the row."""
    value = row[column]
    if column in ("window", "finetuned"):
        return f"${int(value)}$"
    if column == "label":
        return latex.escape(value + (", dense where empty" if row["dense_empty_rows"] else ""))
    return "--" if pd.isna(value) or not spell(value) else latex.escape(spell(value))


def _measured(row: Mapping[Hashable, Any], column: str, digits: int) -> str:
    halves = {
        "perplexity": row["perplexity_ci95"],
        "loss_increase": (row["loss_increase_high"] - row["loss_increase_low"]) / 2,
    }
    return latex.number(row[column], halves.get(column, float("nan")), digits)
