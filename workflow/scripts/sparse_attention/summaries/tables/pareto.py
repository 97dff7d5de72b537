"""The points on the Pareto fronts."""

from __future__ import annotations

from sparse_attention.summaries.base import Table


class Pareto(Table):
    """Points on the fronts of each predictor and of all predictors; made by `pareto_table`."""

    name = "pareto"
    title = "Points on the Pareto fronts"
    section = "points"
    category = "The predictors"
    order = 30
    needs = ("evaluations",)
    large = True
    made_by = "summarise_predictors"
    caption = """
    The points on the Pareto fronts of each predictor and of all predictors together (bounds left out), for one
    window at a time and for all windows together.
    """
