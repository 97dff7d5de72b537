"""Figure: sparsity and recall of one predictor in every layer and head."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from sparse_attention.errors import InputError
from sparse_attention.plotting import style
from sparse_attention.plotting.base import Plot
from sparse_attention.plotting.heatmaps import draw_panels
from sparse_attention.summaries.wording import spell


class HeatmapPredictor(Plot):
    """Sparsity and recall of every head at one point, a row of panels per attention."""

    name = "heatmap_predictor"
    title = "One predictor by layer and head"
    section = "heads"
    category = "The predictors"
    order = 20
    needs = ("predictors", "predictors_by_head")
    settings = ("figures.heatmap.predictor", "figures.heatmap.sparsity", "figures.window", "figures.keep")
    caption = """
    Sparsity and recall of every layer and head for one predictor, at its point nearest the configured sparsity.
    Heads differ: an average over them hides heads that are predicted well and heads that are predicted badly.
    """

    def draw(self, tables: Mapping[str, pd.DataFrame], setting: Mapping[str, Any]) -> Figure:
        by_head = tables["predictors_by_head"]
        points = chosen_point(tables["predictors"], *(setting[key] for key in self.settings))
        keys = ["attention", "predictor", "projection", "point", "window", "keep"]
        grid = []
        for _, point in points.iterrows():
            rows = by_head[(by_head[keys] == point[keys]).all(axis=1)]
            prefix = f"{spell(point['attention'])}: " if len(points) > 1 else ""
            grid.append([(f"{prefix}{column}", rows, column) for column in ("sparsity", "recall")])
        first = points.iloc[0]
        point_names = ", ".join(dict.fromkeys(spell(name) for name in points["point"]))
        window = f"window {first['window']}" if first["window"] else "no window"
        description = style.describe_data(setting, points, spell(first["projection"]), point_names, window)
        return draw_panels(grid, f"{first['label']}: sparsity and recall of every head", description)


def chosen_point(points: pd.DataFrame, predictor: str, sparsity: float, window: int, keep: str) -> pd.DataFrame:
    """Return, per attention, the row of the table `predictors` whose sparsity is nearest to `sparsity`.

    Raises
    ------
    InputError
        When the predictor has no point with this window and these kept tokens.
    """
    at = points[(points["window"] == window) & (points["keep"] == keep)]
    rows = at[at["predictor"] == predictor]
    if rows.empty:
        allowed = ", ".join(at["predictor"].unique()) or "none has a point at this window"
        raise InputError(
            f"figures.heatmap.predictor: {predictor!r} has no point at window {window}, keep {keep}; allowed: {allowed}"
        )
    distance = (rows["sparsity"] - sparsity).abs()
    return rows.loc[distance.groupby(rows["attention"], sort=False).idxmin()]
