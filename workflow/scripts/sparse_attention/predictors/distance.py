"""Keep pairs of projected queries and keys that lie close together: the seven distances of Sparsefinder's code."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

from torch import Tensor

from sparse_attention.attention.distances import (
    cosine,
    direction,
    euclidean,
    least_squared,
    least_squared_of_units,
    minkowski,
    squared_euclidean,
)
from sparse_attention.attention.levels import levels_of_thresholds
from sparse_attention.errors import InputError
from sparse_attention.predictors.base import ThresholdPredictor
from sparse_attention.predictors.features import Features

POWER_COST = 8  # multiply-adds of a power
THRESHOLD = {
    "type": ["number", "array"],
    "exclusiveMinimum": 0,
    "minItems": 1,
    "items": {"type": "number", "exclusiveMinimum": 0},
    "description": "a number above 0, or a list of one such number per head inside a list: [[…]]",
}
POWER = {"type": "number", "minimum": 1, "infinite": True, "description": "at least 1; .inf for the maximum norm"}


def norm_cost(dim: int, p: float) -> float:
    """Return the multiply-adds of a p-norm: one per dimension, and a power unless p is 1, 2 or infinite."""
    return dim * (1 if p in (1, 2, math.inf) else 1 + POWER_COST)


class DistancePredictor(ThresholdPredictor):
    """Base class of the distances: selects the thresholds of heads, and counts the cost.

    Attributes
    ----------
    normalises : bool
        Whether vectors are divided by their norms first.
    least : bool
        Whether the distance is the smallest difference over dimensions instead of a sum.
    """

    group = "Distances"
    paper = (
        "Treviso, Góis, Fernandes, Fonseca, Martins. Predicting Attention Sparsity in Transformers. SPNLP 2022. "
        "arXiv:2109.12188"
    )

    normalises: ClassVar[bool] = False
    least: ClassVar[bool] = False

    def levels(self, prepared: Features, values: Sequence[Any], **others: Any) -> Tensor:
        """Compare strictly, as Sparsefinder does, with the thresholds of these heads."""
        bounds = [self._of_heads(value, prepared.heads) for value in values]
        return levels_of_thresholds(self.distances(prepared, **others), bounds)

    def _of_heads(self, threshold: Any, heads: slice) -> Any:
        """Return a threshold, cut to the given heads if it is a list."""
        if not isinstance(threshold, list):
            return threshold
        if len(threshold) < heads.stop:
            raise InputError(
                f"predictors.{self.name}.threshold: {threshold} has {len(threshold)} numbers for at least {heads.stop} "
                "heads; allowed: one number, or a list of one number per head"
            )
        return threshold[heads]

    def cost(self, features: Features, **point: Any) -> float:
        """Count norms and divisions by them, and for each valid pair a distance and a comparison with the threshold.

        For p = 2 a distance counts as `||q||² - 2 q kᵀ + ||k||²`, a product per dimension, as it would be computed if
        rounding did not matter. Other distances count a difference per dimension.
        """
        (_, queries, keys), dim, p = features.shape, features.queries.shape[-1], point.get("p", 2)
        vector = norm_cost(dim, p) + dim if self.normalises else 0.0
        if self.least:
            pair = 2.0 * dim
        elif p != 2:
            pair = dim + norm_cost(dim, p)
        elif self.normalises:
            pair = dim
        else:
            vector, pair = dim, dim + 1
        return (queries + keys) * vector + features.valid_pairs * (pair + 1)


class Cosine(DistancePredictor):
    """`1 - cos(q, k) < threshold`; a zero vector has distance 1 to all vectors, where the original code has NaN."""

    name = "cos"
    label = "Cosine distance"
    needs = ("projection",)
    parameters = {
        "threshold": {
            "type": ["number", "array"],
            "exclusiveMinimum": 0,
            "maximum": 2,
            "minItems": 1,
            "items": {"type": "number", "exclusiveMinimum": 0, "maximum": 2},
            "description": "a number above 0 and at most 2, or a list of one such number per head inside a list: [[…]]",
        },
    }
    normalises = True

    def distances(self, prepared: Features, **others: Any) -> Tensor:
        """Return the distances, float32 ``(heads, queries, keys)``."""
        return cosine(prepared.queries, prepared.keys)


class SquaredEuclidean(DistancePredictor):
    """`||q - k||² < threshold`."""

    name = "l2"
    label = "Squared L2 distance"
    needs = ("projection",)
    parameters = {"threshold": THRESHOLD}

    def distances(self, prepared: Features, **others: Any) -> Tensor:
        """Return the distances, float32 ``(heads, queries, keys)``."""
        return squared_euclidean(prepared.queries, prepared.keys)


class Euclidean(DistancePredictor):
    """`||q - k|| < threshold`: the same supports as `l2` with squared thresholds."""

    name = "euclidean"
    label = "L2 distance"
    needs = ("projection",)
    parameters = {"threshold": THRESHOLD}

    def distances(self, prepared: Features, **others: Any) -> Tensor:
        """Return the distances, float32 ``(heads, queries, keys)``."""
        return euclidean(prepared.queries, prepared.keys)


class Least(DistancePredictor):
    """`min_d (q_d - k_d)² < threshold`: close in at least one dimension, like vectors that share a bucket."""

    name = "min"
    label = "Minimum distance"
    needs = ("projection",)
    parameters = {"threshold": THRESHOLD}
    least = True

    def distances(self, prepared: Features, **others: Any) -> Tensor:
        """Return the distances, float32 ``(heads, queries, keys)``."""
        return least_squared(prepared.queries, prepared.keys)


class LeastOfUnits(DistancePredictor):
    """`min_d (q_d / ||q||_p - k_d / ||k||_p)² < threshold`: `min` of vectors divided by their p-norms."""

    name = "min_norm"
    label = "Normalised minimum distance"
    needs = ("projection",)
    parameters = {"p": POWER, "threshold": THRESHOLD}
    normalises = True
    least = True

    def distances(self, prepared: Features, p: float = 2.0, **others: Any) -> Tensor:
        """Return the distances, float32 ``(heads, queries, keys)``."""
        return least_squared_of_units(prepared.queries, prepared.keys, p)


class Direction(DistancePredictor):
    """`||q / ||q||_p - k / ||k||_p||_p < threshold`; for p = 2 it is `√(2 (1 - cos(q, k)))`."""

    name = "direction"
    label = "Direction distance"
    needs = ("projection",)
    parameters = {"p": POWER, "threshold": THRESHOLD}
    normalises = True

    def distances(self, prepared: Features, p: float = 2.0, **others: Any) -> Tensor:
        """Return the distances, float32 ``(heads, queries, keys)``."""
        return direction(prepared.queries, prepared.keys, p)


class Minkowski(DistancePredictor):
    """`(Σ_d |q_d - k_d|^p)^(1/p) < threshold`: `euclidean` for p = 2, the largest difference for infinity."""

    name = "minkowski"
    label = "Minkowski distance"
    needs = ("projection",)
    parameters = {"p": POWER, "threshold": THRESHOLD}

    def distances(self, prepared: Features, p: float = 2.0, **others: Any) -> Tensor:
        """Return the distances, float32 ``(heads, queries, keys)``."""
        return minkowski(prepared.queries, prepared.keys, p)
