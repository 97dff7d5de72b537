"""The best predictor of each head."""

from __future__ import annotations

from sparse_attention.summaries.base import Table


class BestByHead(Table):
    """Made by `best_tables`."""

    name = "best_by_head"
    title = "The best predictor of every head"
    section = "heads"
    category = "The predictors"
    order = 20
    needs = ("evaluations",)
    left_out = ("window", "keep", "at_sparsity", "predictor", "second", "second_projection")
    folded = "The best predictor of every head as a table"
    latex = True
    made_by = "summarise_predictors"
    caption = """
    The predictor with the highest recall in each layer and head at the configured sparsity, bounds left out, and
    its margin over the second best predictor.
    Recall is read as for the areas: on straight lines between points, to which keeping everything and keeping
    nothing are added.
    """
