"""The predictors on pairs of blocks."""

from __future__ import annotations

from sparse_attention.summaries.base import Table


class PredictorsByBlock(Table):
    """Columns are those of `predictors`; made by `predictor_tables`."""

    name = "predictors_by_block"
    title = "Every predictor on pairs of blocks"
    section = "points"
    category = "The predictors"
    order = 20
    needs = ("evaluations", "block_evaluations")
    large = True
    made_by = "summarise_predictors"
    caption = """
    The predictors that work on blocks of tokens, measured on pairs of blocks: a pair of blocks counts once, and
    belongs to the gold support when any of its pairs of tokens does.
    Columns are those of ``predictors``, which measures them on pairs of tokens.
    """
