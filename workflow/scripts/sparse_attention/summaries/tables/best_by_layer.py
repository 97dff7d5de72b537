"""The best predictor of each layer."""

from __future__ import annotations

from sparse_attention.summaries.base import Table


class BestByLayer(Table):
    """Made by `best_tables`."""

    name = "best_by_layer"
    title = "The best predictor of every layer"
    section = "heads"
    category = "The predictors"
    order = 10
    needs = ("evaluations",)
    left_out = ("window", "keep", "at_sparsity", "predictor", "second", "second_projection")
    latex = True
    made_by = "summarise_predictors"
    caption = """
    The predictor with the highest recall in each layer at the configured sparsity. Its points are first averaged
    over the heads of the layer, so all heads of a layer share one setting.
    """
