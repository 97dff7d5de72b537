"""The predictors at every point."""

from __future__ import annotations

from sparse_attention.summaries.base import Table


class Predictors(Table):
    """Means over layers and heads, then over seeds; made by `predictor_tables`."""

    name = "predictors"
    title = "Every predictor at every point, {here}"
    section = "points"
    category = "The predictors"
    order = 10
    needs = ("evaluations",)
    left_out = ("predictor", "family", "bound", "window", "keep")
    folded = "Every point, {here}"
    made_by = "summarise_predictors"
    caption = """
    Every predictor at every point, window and kept token: metrics averaged over layers and heads, then over seeds,
    with 95 % intervals where there are several.
    ``best_recall`` is the recall of the best choice of equally many pairs; ``computation_sparsity`` counts repeated
    scores and the cost of predicting, and is blank where that cost is not known.
    """
