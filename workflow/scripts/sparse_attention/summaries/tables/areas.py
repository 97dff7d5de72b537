"""The areas under the fronts of the predictors, with intervals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from sparse_attention.summaries import latex
from sparse_attention.summaries.base import Table
from sparse_attention.summaries.wording import spell


class Areas(Table):
    """See `uncertainty_tables`; as LaTeX with the largest area of recall first."""

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
    ``area`` is the mean of what its points attain over the sparsities from ``area_from`` to 1, on straight lines
    between them; keeping everything (sparsity 0, metric 1) and keeping nothing (1, 0) count as points of everyone,
    so chance has (1 − ``area_from``) / 2.
    ``hypervolume`` is the area of all rectangles between (0, 0) and a point together: it also counts how sparse and
    how dense a predictor was tried.
    """

    def to_latex(self, table: pd.DataFrame, setting: Mapping[str, Any]) -> str:
        chosen, who = latex.comparison(table, str(setting["figures.window"]), setting["figures.keep"])
        order = chosen.sort_values("area_recall", ascending=False, kind="stable")
        columns = [f"{size}_{metric}" for size in ("area", "hypervolume") for metric in latex.METRICS]
        rows = [
            [latex.escape(spell(row[name])) for name in who] + [latex.value(row, name, 3) for name in columns]
            for attention in chosen["attention"].unique()
            for row in order[order["attention"] == attention].to_dict("records")
        ]
        start = " and ".join(f"{value:g}" for value in chosen["area_from"].unique())
        titles = list(latex.METRICS.values())
        groups = [("", list(who.values())), *((title, titles) for title in ("Area", "Hypervolume"))]
        note = f"Areas under the fronts from sparsity {start} to 1, and hypervolumes, {latex.INTERVALS}"
        return latex.tabular(groups, rows, f"{note}; {latex.words_of(setting)}.")
