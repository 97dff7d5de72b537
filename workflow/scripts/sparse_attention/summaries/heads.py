"""The best predictor of each head and of each layer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from sparse_attention.summaries.fronts import hulls

SERIES = ("predictor", "projection")
COLUMNS = (
    "window",
    "keep",
    "at_sparsity",
    "predictor",
    "label",
    "projection",
    "recall",
    "second",
    "second_label",
    "second_projection",
    "second_recall",
    "margin",
)


def best_tables(
    points: pd.DataFrame, by_head: pd.DataFrame, sparsity: float, window: int, keep: str
) -> dict[str, pd.DataFrame]:
    """Find the predictor with the highest recall at one sparsity, bounds excluded.

    As for areas, keeping everything and keeping nothing are added to the points of every predictor. So predictors are
    compared at every head, even where all points of one are sparser, or all are denser, than `sparsity`.

    Parameters
    ----------
    points, by_head : pandas.DataFrame
        The tables `predictors` and `predictors_by_head`.
    sparsity : float
        Sparsity at which recall is compared.
    window, keep
        Window and kept tokens of the rows that are compared.

    Returns
    -------
    dict of str to pandas.DataFrame
        `best_by_head`, with the columns `attention`, `layer`, `head` and `COLUMNS`, and `best_by_layer`, without
        `head`, for which points are first averaged over the heads of a layer. `second` is the best other predictor,
        `margin` the difference of the two recalls.
    """
    real = points[points["bound"].isna()]
    labels = real.drop_duplicates("predictor").set_index("predictor")["label"]
    chosen = by_head[
        (by_head["window"] == window) & (by_head["keep"] == keep) & by_head["predictor"].isin(labels.index)
    ]
    settings = {"window": window, "keep": keep, "at_sparsity": sparsity}
    tables = {}
    for name, units in (("best_by_head", ["attention", "layer", "head"]), ("best_by_layer", ["attention", "layer"])):
        groups = chosen.groupby([*units, *SERIES, "point"], sort=False)
        attained = _recall_at(groups[["sparsity", "recall"]].mean().reset_index(), units, sparsity)
        rows = [
            dict(zip(units, unit, strict=True)) | settings | _best_two(rows, labels)
            for unit, rows in attained.groupby(units, sort=True)
        ]
        tables[name] = pd.DataFrame(rows, columns=[*units, *COLUMNS])
    return tables


def _recall_at(points: pd.DataFrame, units: list[str], sparsity: float) -> pd.DataFrame:
    """Return the recall of each series in each unit (head or layer) at one sparsity."""
    found = []
    for _, series in points.groupby(list(SERIES), sort=False):
        wide = series.pivot(index=[*units, *SERIES], columns="point", values=["sparsity", "recall"])
        corners = hulls(wide["sparsity"].to_numpy(), wide["recall"].to_numpy(), with_ends=True)
        recall = corners.attainable(np.array([sparsity]))[:, 0]
        found.append(wide.index.to_frame(index=False).assign(recall=recall))
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=[*units, *SERIES, "recall"])


def _best_two(rows: pd.DataFrame, labels: pd.Series) -> dict[str, Any]:
    """Return the best series of one unit, and the best of another predictor; of equal ones the first."""
    ordered = rows.sort_values("recall", ascending=False, kind="stable")
    best = ordered.iloc[0]
    found = {"predictor": best["predictor"], "label": labels[best["predictor"]], "projection": best["projection"]}
    found["recall"] = best["recall"]
    others = ordered[ordered["predictor"] != best["predictor"]]
    if len(others):
        second = others.iloc[0]
        found |= {"second": second["predictor"], "second_label": labels[second["predictor"]]}
        found |= {"second_projection": second["projection"], "second_recall": second["recall"]}
        found["margin"] = best["recall"] - second["recall"]
    return found
