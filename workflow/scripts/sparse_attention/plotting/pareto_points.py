"""Select what a Pareto figure shows: its axes, the points that can be drawn, and which points form one curve."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sparse_attention.errors import InputError
from sparse_attention.files.segments import block_size_of, without
from sparse_attention.plotting.predictor_styles import LINES, PredictorStyle, groups, is_bound, styles_of
from sparse_attention.summaries.fronts import hypervolumes
from sparse_attention.summaries.pareto import front
from sparse_attention.summaries.wording import spell

MOST_CURVES = 20
"""If a panel would have more curves than this, a predictor's projections and block sizes are joined into one curve."""


@dataclass(frozen=True)
class XAxis:
    """A horizontal axis: its column in the table, its name in titles, and a long and a short label."""

    column: str
    name: str
    label: str
    short: str


SPARSITY = XAxis(
    "sparsity",
    "sparsity",
    "Sparsity (share of pairs that are skipped; logarithmic in the pairs that are kept)",
    "Sparsity (logarithmic in the pairs kept)",
)
COMPUTATION = XAxis(
    "computation_sparsity",
    "computation sparsity",
    "Computation sparsity (share of scores saved, predicting included; logarithmic)",
    "Computation sparsity (logarithmic)",
)


@dataclass(frozen=True)
class Comparison:
    """The data and styles that the panels of a figure share.

    Attributes
    ----------
    metric : str
        The column on the vertical axis.
    x_axis : XAxis
        The horizontal axis.
    rows : DataFrame
        The points that are drawn in any panel, with a column `variant`.
    styles : mapping
        The style of each predictor.
    note : str
        A remark for the line below the title, for instance that several projections are joined into one curve.
    """

    metric: str
    x_axis: XAxis
    rows: pd.DataFrame
    styles: Mapping[str, PredictorStyle]
    note: str = ""

    @property
    def variants(self) -> list[str]:
        """The projections and block sizes that have curves of their own, in order; `[""]` if none have."""
        return list(self.rows.loc[~is_bound(self.rows), "variant"].unique()) or [""]

    def kept(self, rows: pd.DataFrame) -> np.ndarray:
        """Return the share of pairs or of computed scores that each row keeps, float64 ``(rows,)``.

        Bounds have no cost of predicting, so their share of pairs is used on both axes.
        """
        column = "sparsity" if is_bound(rows).any() else self.x_axis.column
        return 1 - rows[column].to_numpy(dtype=float)


def compare(points: pd.DataFrame, metric: str, x_axis: XAxis, predictors: pd.Series, setting: str) -> Comparison:
    """Select the points that can be drawn: they have a value on both axes and keep at least one pair.

    Parameters
    ----------
    points : pandas.DataFrame
        Rows of the table `predictors`.
    metric, x_axis
        The vertical and the horizontal axis.
    predictors : pandas.Series
        All predictors of the table, so that a predictor has the same style in every figure.
    setting : str
        The selected window and kept tokens, for the error message.

    Raises
    ------
    InputError
        When no predictor has a point in this setting.
    """
    known = (points["sparsity"] < 1) & points[metric].notna() & (is_bound(points) | (points[x_axis.column] < 1))
    chosen, unpriced = points[known], without_cost(points, x_axis)
    if is_bound(chosen).all() and not unpriced:
        raise InputError(f"figures.window: no predictor was evaluated at {setting}")
    rows, note = with_variants(chosen.reset_index(drop=True))
    left_out = [f"not known for {', '.join(unpriced)}"] if unpriced else []
    return Comparison(metric, x_axis, rows, styles_of(predictors), " · ".join([*filter(None, [note]), *left_out]))


def without_cost(points: pd.DataFrame, x_axis: XAxis) -> list[str]:
    """Return the labels of the predictors that have no value on the x axis."""
    values = points[x_axis.column].groupby(points["label"], sort=False)
    return [str(label) for label, own in values if own.isna().all()]


def with_variants(rows: pd.DataFrame, merge: bool = False) -> tuple[pd.DataFrame, str]:
    """Add the column `variant`, which names the projection and block size that have a curve of their own.

    Variants are empty where a predictor has only one, and where too many curves would share a panel.

    Parameters
    ----------
    rows : pandas.DataFrame
        Points with `predictor` and `projection`.
    merge : bool
        Whether all variants of a predictor form one curve in any case.

    Returns
    -------
    (DataFrame, str)
        The rows, and the remark "best of all …" if variants were joined into one curve.
    """
    segments = rows["projection"].astype(str)
    bases = segments.map(lambda name: spell(without(name, "block_size")))
    sizes = segments.map(block_size_of)
    real = ~is_bound(rows)
    several_bases, several_sizes = bases[real & (bases != "")].nunique() > 1, sizes[real].nunique() > 1
    of_base = bases if several_bases else pd.Series("", index=rows.index)
    of_size = sizes.map(lambda size: "single tokens" if size == 1 else f"blocks of {size}")
    of_size = of_size if several_sizes else pd.Series("", index=rows.index)
    both = (of_base + ", " + of_size).str.strip(", ")
    tried = ["projections"] * several_bases + ["block sizes"] * several_sizes
    for variant, lost in ((both, []), (of_size, tried[:1] if several_bases else [])):
        drawn = rows.assign(variant=variant)
        if not merge and variant[real].nunique() <= len(LINES) and _most_curves(drawn[real]) <= MOST_CURVES:
            return drawn, f"best of all {lost[0]}" if lost else ""
    return rows.assign(variant=""), f"best of all {' and '.join(tried)}" if tried else ""


def _most_curves(rows: pd.DataFrame) -> int:
    return max((len(own.groupby(["predictor", "variant"])) for own in groups(rows).values()), default=0)


def best_first(rows: pd.DataFrame, metric: str, column: str = "sparsity") -> list[str]:
    """Return the predictors, the largest hypervolume (area that the points dominate) first."""
    area = {
        str(name): float(hypervolumes(own[[column]].to_numpy().T, own[[metric]].to_numpy().T)[0])
        for name, own in rows.groupby("predictor", sort=False)
    }
    return sorted(area, key=lambda name: -area[name])


def front_of(rows: pd.DataFrame, comparison: Comparison) -> pd.DataFrame:
    """Return the Pareto front of one curve, by rising value on the x axis."""
    column = comparison.x_axis.column
    chosen = rows[front(rows[column].to_numpy(), rows[comparison.metric].to_numpy())]
    return chosen.sort_values([column, comparison.metric], ascending=[True, False], kind="stable")
