"""The predictors at fixed sparsities, with intervals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from sparse_attention.summaries import latex
from sparse_attention.summaries.base import Table
from sparse_attention.summaries.wording import spell


class PredictorsAtSparsity(Table):
    """Made by `uncertainty_tables`."""

    name = "predictors_at_sparsity"
    title = "At fixed sparsities, {here}"
    section = "predictors"
    category = "The predictors"
    order = 20
    needs = ("documents",)
    settings = ("figures.window", "figures.keep")
    latex = True
    made_by = "summarise_uncertainty"
    caption = """
    Metrics of each predictor at fixed sparsities, so that predictors with different grids can be compared.
    Between two of its points a predictor attains the straight line, by using one point for some queries and the
    other point for the rest; blank outside the range of its points.
    ``_ci95`` is half the Student interval over seeds; ``_low`` and ``_high`` are the ends of the 95 % bootstrap
    interval over documents and seeds. With one seed this interval shows the influence of the documents, not of
    training.
    """

    def to_latex(self, table: pd.DataFrame, setting: Mapping[str, Any]) -> str:
        chosen, identity = latex.comparison(table, str(setting["figures.window"]), setting["figures.keep"])
        levels = sorted(chosen["at_sparsity"].unique())
        rows = []
        for _, series in chosen.groupby(["attention", "predictor", "projection"], sort=False):
            values = {row["at_sparsity"]: row for row in series.to_dict("records")}
            cells = [latex.value(values[at], metric, 2) for metric in latex.METRICS for at in levels]
            rows.append([*(latex.escape(spell(series[column].iloc[0])) for column in identity), *cells])
        titles = latex.METRICS.values()
        groups = [("", list(identity.values())), *((title, [f"{at:.3g}" for at in levels]) for title in titles)]
        note = f"What each predictor attains at fixed sparsities, {latex.INTERVALS}"
        return latex.tabular(groups, rows, f"{note}; {latex.words_of(setting)}.")
