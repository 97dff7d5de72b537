"""What every predictor is: a class with a few literals, `predict`, and where it pays `prepare` and `fit`."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from torch import Tensor

if TYPE_CHECKING:
    from sparse_attention.attention.support import Gold
    from sparse_attention.clusters import Centroids


@dataclass(frozen=True)
class Context:
    """What a predictor is set up with.

    Attributes
    ----------
    seed : int
        Of everything random in it, see `Predictor.rng`.
    fixed : mapping
        Values of its fitted settings.
    centroids : Centroids, optional
        Given when the predictor needs "clusters".
    """

    seed: int = 0
    fixed: Mapping[str, Any] = field(default_factory=dict)
    centroids: Centroids | None = None


@dataclass(frozen=True)
class Features:
    """One example in one layer as predictors see it.

    Attributes
    ----------
    layer, index : int
        The layer and the example.
    queries, keys : Tensor
        Projected, `(heads, queries, dim)` and `(heads, keys, dim)`; the raw ones without a projection.
    raw_queries, raw_keys : Tensor
        `(heads, queries, head_dim)` and `(heads, keys, head_dim)`.
    valid : Tensor
        Pairs that may attend, bool `(queries, keys)`.
    """

    layer: int
    index: int
    queries: Tensor
    keys: Tensor
    raw_queries: Tensor
    raw_keys: Tensor
    valid: Tensor

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of heads, queries and keys."""
        return self.raw_queries.shape[0], self.raw_queries.shape[1], self.raw_keys.shape[1]


class Predictor:
    """Predicts supports; a subclass with a literal `name` in this folder is found by the registry.

    `predict(prepared, **point)` returns a bool tensor that broadcasts to `(heads, queries, keys)`. It need not care
    for invalid pairs. `prepared` is what `prepare(features)` returned, once per example for all points: the features
    themselves unless a subclass computes something better.

    Attributes
    ----------
    name, label : str
        Name in the config and in paths; name in figures and tables.
    needs : tuple of str
        "projection": `features.queries` and `.keys` are projected; "clusters": `context.centroids` is given.
    fits : bool
        Whether `fit` is called before each layer.
    parameters : dict
        JSON schema of one value of each setting; every setting becomes an argument of `predict`, fitted ones aside.
    fitted : tuple of str
        Settings whose value is in `context.fixed` since something was computed for it beforehand.
    at_most : dict
        Settings that may not exceed another one; the configuration is checked for it.
    """

    name: ClassVar[str]
    label: ClassVar[str] = ""
    needs: ClassVar[tuple[str, ...]] = ()
    fits: ClassVar[bool] = False
    parameters: ClassVar[dict[str, Any]] = {}
    fitted: ClassVar[tuple[str, ...]] = ()
    at_most: ClassVar[dict[str, str]] = {}

    predict: Callable[..., Tensor]

    def __init__(self, context: Context) -> None:
        self.context = context

    def fit(self, layer: int, training: Iterable[tuple[Features, Gold]]) -> None:
        """Learn what `prepare` and `predict` use for `layer`; `training` can be iterated more than once."""

    def prepare(self, features: Features) -> Any:
        """Return what all points of one example share."""
        return features

    def supports(self, features: Features, grid: Iterable[Mapping[str, Any]]) -> Iterator[Tensor]:
        """Yield the support of every point of `grid`, bool `(heads, queries, keys)`, without invalid pairs."""
        prepared = self.prepare(features)
        for point in grid:
            yield (self.predict(prepared, **point) & features.valid).expand(features.shape)

    def rng(self, features: Features) -> np.random.Generator:
        """Return a generator that depends on the seed, the predictor, the layer and the example, not on any order."""
        name = zlib.crc32(self.name.encode())
        return np.random.default_rng((self.context.seed, name, features.layer, features.index))


class DistancePredictor(Predictor):
    """Predicts the pairs at a distance below `threshold`; a subclass's `prepare` returns the distances."""

    def predict(self, distance: Tensor, threshold: float) -> Tensor:
        """Compare strictly, as published: a pair exactly at the threshold is left out."""
        return distance < threshold
