"""Quality of the language models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from sparse_attention.summaries import latex
from sparse_attention.summaries.base import Inputs, Table
from sparse_attention.summaries.statistics import over_seeds
from sparse_attention.summaries.wording import spell

LOSSES = ("loss", "perplexity", "bits_per_character", "accuracy", "unigram_loss")
SIZES = ("masked_tokens", "blocks")
QUALITY = (*LOSSES, "nats_below_unigram", "gold_sparsity")
HEADERS = {
    "loss": "Loss",
    "perplexity": "Perplexity",
    "bits_per_character": "Bits/char.",
    "accuracy": "Accuracy",
    "nats_below_unigram": "Below unigram",
    "gold_sparsity": "Gold sparsity",
}
NOTE = "Masked language models on the validation split, before and after training; losses in nats."


class MaskedLm(Table):
    """Means over seeds, one row per attention and stage."""

    name = "masked_lm"
    title = "Quality on the validation split"
    section = "models"
    category = "The language models"
    order = 10
    needs = ("model_evaluation", "model_sparsity")
    left_out = ("seeds", "masked_tokens", "blocks")
    latex = True
    caption = """
    Masked language models on the validation split, before and after training: loss in nats per masked token, and
    how far it is below the unigram loss.
    Gold sparsity is the mean over layers and heads; with several seeds, values are means with the half-width of
    their 95 % interval.
    """

    def make(self, inputs: Inputs, setting: Mapping[str, Any]) -> pd.DataFrame:
        evaluations = inputs.rows("model_evaluation", ["stage", *LOSSES, *SIZES])
        return masked_lm_table(evaluations, inputs.rows("model_sparsity", ["layer", "head", "gold_sparsity"]))

    def to_latex(self, table: pd.DataFrame, setting: Mapping[str, Any]) -> str:
        rows = [
            [latex.escape(spell(row["attention"])), latex.escape(row["stage"])]
            + [latex.number(row[name], row[f"{name}_ci95"], 1 if name == "perplexity" else 3) for name in HEADERS]
            for _, row in table.iterrows()
        ]
        return latex.tabular([("", ["Attention", "Stage", *HEADERS.values()])], rows, NOTE)


def masked_lm_table(evaluations: pd.DataFrame, sparsities: pd.DataFrame) -> pd.DataFrame:
    """Average the evaluations over seeds, one row per attention and stage.

    Parameters
    ----------
    evaluations : pandas.DataFrame
        Rows of `evaluation.tsv` with `attention` and `seed`.
    sparsities : pandas.DataFrame
        Rows of the models' `sparsity.tsv` with `attention` and `seed`; they are joined to the stage `after`.
    """
    frame = evaluations.assign(nats_below_unigram=evaluations["unigram_loss"] - evaluations["loss"])
    gold = sparsities.groupby(["attention", "seed"], sort=False)["gold_sparsity"].mean().reset_index()
    frame = frame.merge(gold.assign(stage="after"), on=["attention", "seed", "stage"], how="left")
    return over_seeds(frame, ["attention", "stage"], QUALITY, constant=SIZES)
