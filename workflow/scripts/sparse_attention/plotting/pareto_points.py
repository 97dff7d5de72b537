"""What a Pareto figure shows: its axes, the points that have a place there, and which of them make one curve."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sparse_attention.errors import InputError
from sparse_attention.files.segments import block_size_of, without
from sparse_attention.plotting.predictor_looks import LINES, Look, groups, is_bound, looks
from sparse_attention.summaries.fronts import hypervolumes
from sparse_attention.summaries.pareto import front
from sparse_attention.summaries.wording import spell

MOST_CURVES = 20
"""With more curves than this in a panel, a predictor's projections and block sizes are drawn as one."""


@dataclass(frozen=True)
class Across:
    """A horizontal axis: its column and its names."""

    column: str
    name: str
    label: str
    short: str


SPARSITY = Across(
    "sparsity",
    "sparsity",
    "Sparsity (share of pairs that are skipped; logarithmic in the pairs that are kept)",
    "Sparsity (logarithmic in the pairs kept)",
)
COMPUTATION = Across(
    "computation_sparsity",
    "computation sparsity",
    "Computation sparsity (share of scores saved, predicting included; logarithmic)",
    "Computation sparsity (logarithmic)",
)


@dataclass(frozen=True)
class Comparison:
    """What the panels of a figure share.

    Attributes
    ----------
    metric : str
        The vertical axis.
    across : Across
        The horizontal axis.
    rows : DataFrame
        All points that have a place in some panel, with a column `variant`.
    looks : mapping
        By predictor.
    note : str
        What was summarised, if anything.
    """

    metric: str
    across: Across
    rows: pd.DataFrame
    looks: Mapping[str, Look]
    note: str = ""

    @property
    def variants(self) -> list[str]:
        """Projections and block sizes that are told apart, in order; one empty text when none are."""
        return list(self.rows.loc[~is_bound(self.rows), "variant"].unique()) or [""]

    def kept(self, rows: pd.DataFrame) -> np.ndarray:
        """Return what a row keeps: pairs or scores. A bound predicts at no cost."""
        column = "sparsity" if is_bound(rows).any() else self.across.column
        return 1 - rows[column].to_numpy(dtype=float)


def compare(points: pd.DataFrame, metric: str, across: Across, everyone: pd.Series, setting: str) -> Comparison:
    """Choose what can be drawn: points that are known on both axes and keep at least one pair.

    Parameters
    ----------
    points : pandas.DataFrame
        Rows of the table `predictors`.
    metric, across
        The axes.
    everyone : pandas.Series
        All predictors of the table, so that a predictor looks the same in every figure.
    setting : str
        What was chosen, for the message.
    """
    known = (points["sparsity"] < 1) & points[metric].notna() & (is_bound(points) | (points[across.column] < 1))
    chosen = points[known]
    if is_bound(chosen).all() and not unknown(points, across):
        raise InputError(f"figures.window: no predictor was evaluated at {setting}")
    rows, note = with_variants(chosen.reset_index(drop=True))
    left_out = [f"not known for {', '.join(unknown(points, across))}"] if unknown(points, across) else []
    return Comparison(metric, across, rows, looks(everyone), " · ".join([*filter(None, [note]), *left_out]))


def unknown(points: pd.DataFrame, across: Across) -> list[str]:
    """Return the labels of the predictors of which nobody knows what they cost."""
    values = points[across.column].groupby(points["label"], sort=False)
    return [str(name) for name, own in values if own.isna().all()]


def with_variants(rows: pd.DataFrame, one: bool = False) -> tuple[pd.DataFrame, str]:
    """Add the column `variant`, the projection and block size where there are several and few enough to tell apart.

    Parameters
    ----------
    rows : pandas.DataFrame
        Points with `predictor` and `projection`.
    one : bool
        Whether all are drawn as one in any case.

    Returns
    -------
    (DataFrame, str)
        The rows, and what they are the best of when some are drawn as one.
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
        if not one and variant[real].nunique() <= len(LINES) and _fullest(drawn[real]) <= MOST_CURVES:
            return drawn, f"best of all {lost[0]}" if lost else ""
    return rows.assign(variant=""), f"best of all {' and '.join(tried)}" if tried else ""


def _fullest(rows: pd.DataFrame) -> int:
    return max((len(own.groupby(["predictor", "variant"])) for own in groups(rows).values()), default=0)


def best_first(rows: pd.DataFrame, metric: str, column: str = "sparsity") -> list[str]:
    """Return the predictors in the order of the area that their points dominate, largest first."""
    area = {
        str(name): float(hypervolumes(own[[column]].to_numpy().T, own[[metric]].to_numpy().T)[0])
        for name, own in rows.groupby("predictor", sort=False)
    }
    return sorted(area, key=lambda name: -area[name])


def front_of(rows: pd.DataFrame, shared: Comparison) -> pd.DataFrame:
    """Return the points of one curve that no other of its points beats, by rising sparsity."""
    column = shared.across.column
    chosen = rows[front(rows[column].to_numpy(), rows[shared.metric].to_numpy())]
    return chosen.sort_values([column, shared.metric], ascending=[True, False], kind="stable")
