"""What every metric of predicted supports is: a class with a few literals and one method."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

if TYPE_CHECKING:
    from sparse_attention.evaluation.counts import Counts


class Metric:
    """One number per head for each point with its windows and kept tokens.

    A subclass with a literal `name` in this folder is found by `metrics.facts`, where its other attributes are
    described too. They are read without running the file, so they must be literals.
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
        """Return float64 ``(points, extras, heads)``, or what broadcasts to it."""
        raise NotImplementedError


def share(part: np.ndarray, whole: np.ndarray | float, empty: float = 1.0) -> np.ndarray:
    """Return part / whole, and `empty` where the whole is 0."""
    return np.where(np.asarray(whole) > 0, part / np.maximum(whole, 1e-300), empty)
