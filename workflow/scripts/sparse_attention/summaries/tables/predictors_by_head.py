"""The predictors at every point, by layer and head."""

from __future__ import annotations

from sparse_attention.summaries.base import Table


class PredictorsByHead(Table):
    """Means over seeds; made by `predictor_tables`."""

    name = "predictors_by_head"
    title = "Every predictor by layer and head"
    section = "heads"
    category = "The predictors"
    order = 30
    needs = ("evaluations",)
    large = True
    made_by = "summarise_predictors"
    caption = """
    The metrics of every predictor for each layer and head, averaged over seeds.
    """
