"""List the papers to cite for the predictors of a run."""

from __future__ import annotations

import pandas as pd

from sparse_attention.predictors.registry import discover
from sparse_attention.summaries.wording import joined


def papers(points: pd.DataFrame | None) -> list[tuple[str, str]]:
    """Return each paper with the labels of its predictors, in the order of the table.

    Parameters
    ----------
    points : pandas.DataFrame, optional
        The table `predictors`.
    """
    labels: dict[str, list[str]] = {}
    if points is not None:
        for row in points.drop_duplicates("predictor").to_dict("records"):
            info = discover().get(row["predictor"])
            if info and info.paper:
                labels.setdefault(info.paper, []).append(str(row["label"]))
    return [(paper, joined(own)) for paper, own in labels.items()]
