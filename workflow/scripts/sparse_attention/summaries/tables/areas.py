"""The areas under the fronts of the predictors, with intervals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from sparse_attention.summaries import latex
from sparse_attention.summaries.base import Table
from sparse_attention.summaries.wording import spell


class Areas(Table):
    """Made by `uncertainty_tables`; as LaTeX, the series of largest area of recall comes first."""

    name = "areas"
    title = "Areas and hypervolumes, {here}"
    section = "predictors"
    category = "The predictors"
    order = 10
    needs = ("documents",)
    settings = ("figures.window", "figures.keep")
    latex = True
    made_by = "summarise_uncertainty"
    caption = """
    The front of every predictor as one number, for each metric, with 95 % bootstrap intervals over documents and
    seeds.
    ``area`` is the mean of the metric over the sparsities from ``area_from`` to 1, on straight lines between the
    points; keeping everything (sparsity 0, metric 1) and keeping nothing (1, 0) are added to the points of every
    predictor, so chance has (1 − ``area_from``) / 2.
    ``hypervolume`` is the area that is covered by all rectangles between (0, 0) and a point, so it also depends on
    the range of sparsities at which a predictor was evaluated.
    """

    def to_latex(self, table: pd.DataFrame, setting: Mapping[str, Any]) -> str:
        chosen, identity = latex.comparison(table, str(setting["figures.window"]), setting["figures.keep"])
        order = chosen.sort_values("area_recall", ascending=False, kind="stable")
        columns = [f"{size}_{metric}" for size in ("area", "hypervolume") for metric in latex.METRICS]
        rows = [
            [latex.escape(spell(row[name])) for name in identity] + [latex.value(row, name, 3) for name in columns]
            for attention in chosen["attention"].unique()
            for row in order[order["attention"] == attention].to_dict("records")
        ]
        start = " and ".join(f"{value:g}" for value in chosen["area_from"].unique())
        titles = list(latex.METRICS.values())
        groups = [("", list(identity.values())), *((title, titles) for title in ("Area", "Hypervolume"))]
        note = f"Areas under the fronts from sparsity {start} to 1, and hypervolumes, {latex.INTERVALS}"
        return latex.tabular(groups, rows, f"{note}; {latex.words_of(setting)}.")
