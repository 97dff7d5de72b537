"""The base class of the metrics of predicted supports."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

if TYPE_CHECKING:
    from sparse_attention.evaluation.counts import Counts


class Metric:
    """Base class of metrics, with one value for each point, extra (window with kept tokens) and head.

    `metrics.facts` finds every subclass with a literal `name` in this folder. `MetricFacts` describes the attributes.
    They are read without running the file, so they must be literals.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    meaning: ClassVar[str]
    axis: ClassVar[str] = ""
    low: ClassVar[float | None] = 0.0
    high: ClassVar[float | None] = 1.0
    unknown: ClassVar[bool] = False
    compared: ClassVar[bool] = False
    of_heads: ClassVar[bool] = True
    rises: ClassVar[bool] = False
    falls: ClassVar[bool] = False
    order: ClassVar[int] = 1000

    def values(self, counts: Counts) -> np.ndarray:
        """Return the values, float64 ``(points, extras, heads)`` or broadcastable to it."""
        raise NotImplementedError


def share(part: np.ndarray, whole: np.ndarray | float, empty: float = 1.0) -> np.ndarray:
    """Return part / whole, and `empty` where whole is 0."""
    return np.where(np.asarray(whole) > 0, part / np.maximum(whole, 1e-300), empty)
