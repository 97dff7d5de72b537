"""The best predictor of each head."""

from __future__ import annotations

from sparse_attention.summaries.base import Table


class BestByHead(Table):
    """See `best_tables`."""

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
    The predictor that recalls most in each layer and head at the configured sparsity, bounds left out, and by how
    much it is ahead of the best other predictor.
    Recall is read as for the areas: on straight lines between points, keeping everything and keeping nothing among
    them.
    """
