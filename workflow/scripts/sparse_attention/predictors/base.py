"""What every predictor is: a class with a few literals and `predict`; four bases say how supports of points relate."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from sparse_attention.attention.levels import levels_of_budgets, levels_of_thresholds
from sparse_attention.attention.supports import Buckets, Levels, PackedSupport, Support
from sparse_attention.predictors.features import Features

if TYPE_CHECKING:
    from sparse_attention.clusters.centroids import Centroids
    from sparse_attention.qk.gold import Gold


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


class Predictor:
    """Predicts supports; a subclass with a literal `name` in this folder is found by the registry.

    `predict(prepared, **point)` returns a bool tensor that broadcasts to `(heads, queries, keys)`. It need not care
    for invalid pairs. `prepared` is what `prepare(features)` returned, once for all points: the features themselves
    unless a subclass computes something better. Nothing may depend on which heads are given together.

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
    divides : dict
        Settings that must divide another one; checked likewise.
    blocks : bool
        Whether a predictor without a projection also runs on blocks of tokens; one with a projection always does.
    group : str
        The predictors that it is drawn with, one of `registry.GROUPS`; without one it stands among the others.
    bound : str
        "upper" or "lower" for what no real predictor is compared with but held against; empty for real ones.
    nested : str
        The setting along which its supports lie one within the next, where there is one; see `NestedPredictor`.
    falling : bool
        Whether supports shrink as that setting grows.
    paper : str
        Whom to cite for it: authors, title, year, venue or arXiv number.
    """

    name: ClassVar[str]
    label: ClassVar[str] = ""
    needs: ClassVar[tuple[str, ...]] = ()
    fits: ClassVar[bool] = False
    parameters: ClassVar[dict[str, Any]] = {}
    fitted: ClassVar[tuple[str, ...]] = ()
    at_most: ClassVar[dict[str, str]] = {}
    divides: ClassVar[dict[str, str]] = {}
    blocks: ClassVar[bool] = False
    group: ClassVar[str] = ""
    bound: ClassVar[str] = ""
    nested: ClassVar[str] = ""
    falling: ClassVar[bool] = False
    paper: ClassVar[str] = ""

    predict: Callable[..., Tensor]

    def __init__(self, context: Context) -> None:
        self.context = context

    def fit(self, layer: int, training: Iterable[tuple[Features, Gold]]) -> None:
        """Learn what `prepare` and `predict` use for `layer`; `training` can be iterated more than once."""

    def prepare(self, features: Features) -> Any:
        """Return what all points of one example share."""
        return features

    def cost(self, features: Features, **point: Any) -> float:
        """Return the multiply-adds per head that predicting `point` takes, projecting aside; NaN when not known.

        A comparison counts as one, and only valid pairs are compared. What is learned or computed once for all
        examples costs nothing here.
        """
        return float("nan")

    def support(self, features: Features, **point: Any) -> Tensor:
        """Return the support of one point among the valid pairs, bool `(heads, queries, keys)`."""
        return (self.predict(self.prepare(features), **point) & features.valid).expand(features.shape)

    def supports(self, features: Features, points: Sequence[Mapping[str, Any]]) -> Iterator[tuple[list[int], Support]]:
        """Yield the supports of all points: which of them (their places in `points`), and their supports together."""
        prepared = self.prepare(features)
        for place, point in enumerate(points):
            yield [place], PackedSupport.of(self.predict(prepared, **point).expand(features.shape))

    def rng(self, features: Features, head: int | None = None) -> np.random.Generator:
        """Return a generator that depends on seed, predictor, layer, example and head (of the layer), on no order."""
        entropy = (self.context.seed, zlib.crc32(self.name.encode()), features.layer, features.index)
        return np.random.default_rng(entropy if head is None else (*entropy, head))

    def noise(self, features: Features, *shape: int) -> Tensor:
        """Draw uniform float32 numbers in [0, 1), `(heads, *shape)`, each head from its own generator."""
        heads = range(features.heads.start, features.heads.stop)
        drawn = np.stack([self.rng(features, head).random(shape, dtype=np.float32) for head in heads])
        return torch.from_numpy(drawn).to(features.valid.device)


class NestedPredictor(Predictor):
    """A predictor whose supports lie one within the next along the setting `nested`: one pass gives all of them."""

    def levels(self, prepared: Any, values: Sequence[Any], **others: Any) -> Tensor:
        """Return for each pair the place of the first of `values` that keeps it, and `len(values)` when none does.

        Parameters
        ----------
        prepared
            What `prepare` returned.
        values : sequence
            Values of the nested setting, from the smallest support to the largest.
        **others
            The point's other settings.

        Returns
        -------
        Tensor
            uint8, broadcastable to `(heads, queries, keys)`.
        """
        raise NotImplementedError

    def predict(self, prepared: Any, **point: Any) -> Tensor:
        """Return the support of one point."""
        value = point.pop(self.nested)
        return self.levels(prepared, [value], **point) == 0

    def supports(self, features: Features, points: Sequence[Mapping[str, Any]]) -> Iterator[tuple[list[int], Support]]:
        """Yield for each choice of the other settings the supports of all values of the nested one."""
        prepared = self.prepare(features)
        chains: dict[tuple[Any, ...], list[int]] = {}
        for place, point in enumerate(points):
            rest = tuple((name, value) for name, value in point.items() if name != self.nested)
            # a list, one value per head, has no place in an order: it is a chain of its own
            alone = place if isinstance(point[self.nested], list) else None
            chains.setdefault((alone, *map(repr, rest)), []).append(place)
        for places in chains.values():
            ordered = sorted(places, key=lambda place: points[place][self.nested], reverse=self.falling)
            others = {name: value for name, value in points[places[0]].items() if name != self.nested}
            levels = self.levels(prepared, [points[place][self.nested] for place in ordered], **others)
            yield ordered, Levels(levels.expand(features.shape), len(ordered))


class ThresholdPredictor(NestedPredictor):
    """Keeps the pairs at a distance below `threshold`: one number, or a list with one for each of the layer's heads."""

    nested = "threshold"

    def distances(self, prepared: Any, **others: Any) -> Tensor:
        """Return float distances that broadcast to `(heads, queries, keys)`; by default what `prepare` returned."""
        return prepared

    def levels(self, prepared: Any, values: Sequence[Any], **others: Any) -> Tensor:
        """Compare strictly, as published: a pair exactly at the threshold is left out."""
        return levels_of_thresholds(self.distances(prepared, **others), values)


class TopPredictor(NestedPredictor):
    """Keeps for each query the `keys` valid keys of highest score; of equal scores the earlier keys."""

    nested = "keys"

    def scores(self, prepared: Any, **others: Any) -> Tensor:
        """Return float scores `(heads, queries, keys)`, -inf for invalid pairs; by default what `prepare` returned."""
        return prepared

    def levels(self, prepared: Any, values: Sequence[int], **others: Any) -> Tensor:
        """Rank each query's keys."""
        return levels_of_budgets(self.scores(prepared, **others), values)


class BucketPredictor(Predictor):
    """Puts queries and keys into buckets and keeps the pairs that share one: a quantizer.

    `buckets(prepared, **point)` returns the buckets of every query and key.
    """

    group = "Quantizers"

    buckets: Callable[..., Buckets]

    def predict(self, prepared: Any, **point: Any) -> Tensor:
        """Return the pairs that share a bucket."""
        return self.buckets(prepared, **point).pairs()

    def supports(self, features: Features, points: Sequence[Mapping[str, Any]]) -> Iterator[tuple[list[int], Support]]:
        """Yield the supports, 64 keys to a word, with the number of scores that the buckets make necessary."""
        prepared = self.prepare(features)
        for place, point in enumerate(points):
            yield [place], self.buckets(prepared, **point).support(features.valid)
