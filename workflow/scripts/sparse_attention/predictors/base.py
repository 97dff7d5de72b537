"""The base class of all predictors, and four base classes that compute the supports of many points in one pass."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from sparse_attention.attention.blocks import block_any, blocks_that_meet
from sparse_attention.attention.levels import levels_of_budgets, levels_of_thresholds
from sparse_attention.attention.supports import Buckets, Levels, PackedSupport, Support
from sparse_attention.errors import InputError
from sparse_attention.predictors.features import Features

if TYPE_CHECKING:
    from sparse_attention.clusters.centroids import Centroids
    from sparse_attention.projections.weights import Weights
    from sparse_attention.qk.gold import Gold


@dataclass(frozen=True)
class Context:
    """Inputs of a predictor's constructor.

    Attributes
    ----------
    seed : int
        Seed of all random numbers of the predictor, see `Predictor.rng`.
    fixed : mapping
        Values of its fitted settings (`Predictor.fitted`), by name.
    centroids : Centroids, optional
        k-means centroids; given when the predictor needs "clusters".
    """

    seed: int = 0
    fixed: Mapping[str, Any] = field(default_factory=dict)
    centroids: Centroids | None = None


class Predictor:
    """Base class of predictors; the registry finds every subclass with a literal `name` in this folder.

    `predict(prepared, **point)` returns a bool tensor that broadcasts to ``(heads, queries, keys)``; its values at
    invalid pairs do not matter. `prepared` is the result of `prepare(features)`, computed once for all points; by
    default it is the features. The prediction for a head must not depend on which other heads are given with it.

    Attributes
    ----------
    name : str
        Name in the configuration and in paths.
    label : str
        Name in figures and tables.
    needs : tuple of str
        "projection": `features.queries` and `features.keys` are projected. "clusters": `context.centroids` is given.
    fits : bool
        Whether `fit` is called before each layer.
    parameters : dict
        For each setting the JSON schema of one value. `predict` gets every setting, except fitted ones, as an argument.
    fitted : tuple of str
        Settings for which something is computed beforehand; their values are in `context.fixed`.
    at_most : dict
        Settings that must not exceed another setting; the configuration is checked for it.
    divides : dict
        Settings that must divide another setting; the configuration is checked for it.
    blocks : bool
        Whether a predictor without a projection also runs on blocks of tokens. A predictor with a projection always
        does.
    group : str
        Group of predictors with which figures draw it, one of `registry.GROUPS`; empty: "Other predictors".
    bound : str
        "upper" or "lower" for a bound, which figures draw for orientation and comparisons leave out; empty otherwise.
    nested : str
        Setting along which the supports are nested, if there is one; see `NestedPredictor`.
    falling : bool
        Whether supports shrink as that setting grows.
    paper : str
        Publication to cite: authors, title, year, venue or arXiv number.
    quadratic : bool
        Whether `block_pairs` takes an operation for every pair of tokens, so that its time grows with their number.
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
    quadratic: ClassVar[bool] = True

    predict: Callable[..., Tensor]

    def __init__(self, context: Context) -> None:
        self.context = context
        self.learned: dict[int, Mapping[str, Weights]] = {}

    def fit(self, layer: int, training: Iterable[tuple[Features, Gold]]) -> None:
        """Learn what `prepare` and `predict` use for `layer`, and store it in `self.learned` in place of what is there.

        It is stored as `{layer: {part: {name: tensor}}}`, each tensor with the heads of the layer first.

        Parameters
        ----------
        layer : int
            Number of the layer.
        training : iterable
            Features and gold supports of the train split; it can be iterated more than once.
        """

    def state(self) -> dict[str, Tensor]:
        """Return what `fit` learned for its latest layer, on the CPU, with names such as `queries.w`."""
        return {
            f"{part}.{name}": value.cpu().contiguous()
            for learned in self.learned.values() for part, tensors in learned.items() for name, value in tensors.items()
        }  # fmt: skip

    def load_state(self, layer: int, state: Mapping[str, Tensor]) -> None:
        """Take what another predictor with the same settings learned for `layer`, as its `state` returned it.

        Raises
        ------
        InputError
            When the state is empty, but the predictor learns.
        """
        if self.fits and not state:
            text = f"nothing that it learned for layer {layer} is given"
            raise InputError(f"predictors.{self.name}: {text}; allowed: the tensors of a predictor that was fitted")
        learned: dict[str, Weights] = {}
        for key, value in state.items():
            part, _, name = key.partition(".")
            learned.setdefault(part, {})[name] = value
        self.learned = {layer: learned}

    def prepare(self, features: Features) -> Any:
        """Compute what the predictions for all points of one example share."""
        return features

    def cost(self, features: Features, **point: Any) -> float:
        """Return the multiply-adds per head of predicting the support of `point`; NaN when unknown.

        A comparison counts as one, and only valid pairs are compared. The projection of queries and keys is not
        counted, nor is what is learned or computed once for all examples.
        """
        return float("nan")

    def support(self, features: Features, **point: Any) -> Tensor:
        """Return the support of one point among the valid pairs, bool ``(heads, queries, keys)``."""
        return (self.predict(self.prepare(features), **point) & features.valid).expand(features.shape)

    def block_pairs(self, features: Features, query_block: int, key_block: int, **point: Any) -> Tensor:
        """Return which pairs of blocks hold a pair of the support of one point.

        By default all pairs of tokens are predicted, one head after the other. A predictor that can decide about blocks
        without this overrides the method and sets `quadratic` to False.

        Parameters
        ----------
        features : Features
            Queries and keys of one example.
        query_block, key_block : int
            Positions per block.
        **point
            The settings of the point.

        Returns
        -------
        Tensor
            Bool, broadcastable to ``(heads, query blocks, key blocks)``. It holds every pair of blocks with a pair of
            the support, and may hold others; what it says of blocks without any valid pair does not matter.
        """
        features = replace(features, pairs=features.valid)
        heads = (features.part(slice(head, head + 1)) for head in range(features.shape[0]))
        return torch.cat([block_any(self.support(head, **point), query_block, key_block) for head in heads])

    def supports(self, features: Features, points: Sequence[Mapping[str, Any]]) -> Iterator[tuple[list[int], Support]]:
        """Yield the supports of all points, with the indices of these points in `points`; nested ones come together."""
        prepared = self.prepare(features)
        for place, point in enumerate(points):
            yield [place], PackedSupport.of(self.predict(prepared, **point).expand(features.shape))

    def rng(self, features: Features, head: int | None = None) -> np.random.Generator:
        """Return a random generator that depends only on seed, predictor, layer, example and, where given, head."""
        entropy = (self.context.seed, zlib.crc32(self.name.encode()), features.layer, features.index)
        return np.random.default_rng(entropy if head is None else (*entropy, head))

    def noise(self, features: Features, *shape: int) -> Tensor:
        """Draw uniform numbers in [0, 1), float32 ``(heads, *shape)``, for each head from its own generator."""
        heads = range(features.heads.start, features.heads.stop)
        drawn = np.stack([self.rng(features, head).random(shape, dtype=np.float32) for head in heads])
        return torch.from_numpy(drawn).to(features.device)


class NestedPredictor(Predictor):
    """A predictor whose supports are nested along the setting `nested`, so that one pass computes all of them."""

    def levels(self, prepared: Any, values: Sequence[Any], **others: Any) -> Tensor:
        """Return for each pair the index of the first of `values` that keeps it; `len(values)` when none does.

        Parameters
        ----------
        prepared
            The result of `prepare`.
        values : sequence
            Values of the nested setting, in the order from the smallest support to the largest.
        **others
            The other settings of the points.

        Returns
        -------
        Tensor
            uint8, broadcastable to ``(heads, queries, keys)``.
        """
        raise NotImplementedError

    def predict(self, prepared: Any, **point: Any) -> Tensor:
        """Return the support of one point."""
        value = point.pop(self.nested)
        return self.levels(prepared, [value], **point) == 0

    def supports(self, features: Features, points: Sequence[Mapping[str, Any]]) -> Iterator[tuple[list[int], Support]]:
        """Yield, for each combination of the other settings, the supports of all values of the nested setting."""
        prepared = self.prepare(features)
        chains: dict[tuple[Any, ...], list[int]] = {}
        for place, point in enumerate(points):
            rest = tuple((name, value) for name, value in point.items() if name != self.nested)
            # lists of one value per head have no order, so each list is evaluated separately
            alone = place if isinstance(point[self.nested], list) else None
            chains.setdefault((alone, *map(repr, rest)), []).append(place)
        for places in chains.values():
            ordered = sorted(places, key=lambda place: points[place][self.nested], reverse=self.falling)
            others = {name: value for name, value in points[places[0]].items() if name != self.nested}
            levels = self.levels(prepared, [points[place][self.nested] for place in ordered], **others)
            yield ordered, Levels(levels.expand(features.shape), len(ordered))


class ThresholdPredictor(NestedPredictor):
    """Keep the pairs whose distance is below `threshold`: one number, or a list of one number per head."""

    nested = "threshold"

    def distances(self, prepared: Any, **others: Any) -> Tensor:
        """Return float distances that broadcast to ``(heads, queries, keys)``; by default `prepared`."""
        return prepared

    def levels(self, prepared: Any, values: Sequence[Any], **others: Any) -> Tensor:
        """Compare strictly, as Sparsefinder does: a pair whose distance equals the threshold is not kept."""
        return levels_of_thresholds(self.distances(prepared, **others), values)


class TopPredictor(NestedPredictor):
    """Keep for each query the `keys` valid keys with the highest scores; of equal scores the earlier keys."""

    nested = "keys"

    def scores(self, prepared: Any, **others: Any) -> Tensor:
        """Return float scores ``(heads, queries, keys)``, -inf for invalid pairs; by default `prepared`."""
        return prepared

    def levels(self, prepared: Any, values: Sequence[int], **others: Any) -> Tensor:
        """Rank the keys of each query by score."""
        return levels_of_budgets(self.scores(prepared, **others), values)


class BucketPredictor(Predictor):
    """A quantizer: puts queries and keys into buckets and keeps the pairs that share a bucket.

    `buckets(prepared, **point)` returns the buckets of all queries and keys.
    """

    group = "Quantizers"
    quadratic = False

    buckets: Callable[..., Buckets]

    def predict(self, prepared: Any, **point: Any) -> Tensor:
        """Return the pairs that share a bucket."""
        return self.buckets(prepared, **point).pairs()

    def block_pairs(self, features: Features, query_block: int, key_block: int, **point: Any) -> Tensor:
        """Return the pairs of blocks that share a bucket; see `Predictor.block_pairs`."""
        return blocks_that_meet(self.buckets(self.prepare(features), **point), query_block, key_block)

    def supports(self, features: Features, points: Sequence[Mapping[str, Any]]) -> Iterator[tuple[list[int], Support]]:
        """Yield the support of each point, packed, with the number of scores that the buckets require."""
        prepared = self.prepare(features)
        for place, point in enumerate(points):
            yield [place], self.buckets(prepared, **point).support(features.valid)
