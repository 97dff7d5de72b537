"""What learned predictors share: maps of raw queries and keys, learned from gold supports for all heads at once.

Every tensor of `Learned` has the layer's heads first, and no loss mixes heads: each head learns on its own.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from sparse_attention.errors import InputError

if TYPE_CHECKING:
    from sparse_attention.predictors.features import Features
    from sparse_attention.projections.model import Weights
    from sparse_attention.qk.gold import Gold

Learned = Mapping[str, "Weights"]
# Enough for gradients that agree from step to step; together they bound the time of a step whatever the corpus.
EXAMPLES_PER_STEP = 4
QUERIES_PER_EXAMPLE = 64
# Of Adam's first step. Vectors are scaled, so that one rate suits all heads and models.
LEARNING_RATE = 0.05
# What varies less than this, relative to its size, is taken for constant: more would be read out of rounding errors.
CONSTANT = 1e-6


class Pairs(NamedTuple):
    """Queries and keys of one example, and what is to be learned of their pairs.

    Attributes
    ----------
    queries, keys : `(heads, queries, dim)` and `(heads, keys, dim)`.
    target : `(heads, queries, keys)`: the gold support, or its probabilities; 0 where not valid.
    valid : bool `(queries, keys)`.
    """

    queries: Tensor
    keys: Tensor
    target: Tensor
    valid: Tensor


View = Callable[["Features", "Gold"], Pairs]


def support_pairs(features: Features, gold: Gold) -> Pairs:
    """See an example's raw vectors with its gold support."""
    return Pairs(features.raw_queries, features.raw_keys, gold.support, features.valid)


def probability_pairs(features: Features, gold: Gold) -> Pairs:
    """See an example's raw vectors with its gold probabilities."""
    return Pairs(features.raw_queries, features.raw_keys, gold.dense(), features.valid)


@dataclass(frozen=True)
class Scale:
    """Mean and deviation of each head's vectors, float32 `(heads, 1, dim)`; maps are learned of scaled vectors."""

    mean: Tensor
    deviation: Tensor

    def __call__(self, vectors: Tensor) -> Tensor:
        """Scale vectors `(heads, n, dim)` to mean 0 and deviation 1."""
        return (vectors - self.mean) / self.deviation

    def fold(self, weights: Weights) -> Weights:
        """Return the weights that do to vectors as they are what `weights` do to scaled ones."""
        first, bias = ("w", "b") if "w" in weights else ("w1", "b1")
        scaled = weights[first] / self.deviation.mT
        return {**weights, first: scaled, bias: weights[bias] - self.mean @ scaled}


@dataclass
class Moments:
    """Number of vectors, their sum and the sum of their squares, float64 `(heads, dim)`."""

    count: int = 0
    sums: Tensor = field(default_factory=lambda: torch.zeros((), dtype=torch.float64))
    squares: Tensor = field(default_factory=lambda: torch.zeros((), dtype=torch.float64))

    def add(self, vectors: Tensor) -> None:
        """Count vectors `(heads, n, dim)` in."""
        self.count += vectors.shape[1]
        self.sums = self.sums + vectors.double().sum(1)
        self.squares = self.squares + vectors.double().square().sum(1)

    def scale(self) -> Scale:
        """Return mean and deviation; a dimension that does not vary keeps its size."""
        mean, square = self.sums / max(self.count, 1), self.squares / max(self.count, 1)
        deviation = (square - mean.square()).clamp(min=0).sqrt()
        varies = deviation > CONSTANT * square.mean(-1, keepdim=True).sqrt()
        deviation = torch.where(varies, deviation, torch.ones_like(deviation))
        return Scale(mean[:, None].float(), deviation[:, None].float())


@dataclass(frozen=True)
class Survey:
    """What one pass over the training examples tells before anything is learned.

    Attributes
    ----------
    queries, keys : Scale
        Of all queries and of all keys.
    share : Tensor
        float32 `(heads,)`: share of the valid pairs that are in the gold support, never quite 0 or 1.
    """

    queries: Scale
    keys: Scale
    share: Tensor

    @classmethod
    def of(cls, training: Any, view: View) -> Survey:
        """Read all examples once."""
        if not len(training):
            raise InputError("train split: holds no examples; allowed for a predictor that learns: at least one")
        queries, keys, inside, valid = Moments(), Moments(), torch.zeros(()), 0
        for features, gold in training:
            pairs = view(features, gold)
            queries.add(pairs.queries)
            keys.add(pairs.keys)
            inside = inside + (pairs.target > 0).sum((1, 2))
            valid += int(pairs.valid.sum())
        return cls(queries.scale(), keys.scale(), (inside + 1) / (valid + 2))

    def draw(self, training: Any, view: View, generator: torch.Generator) -> Iterator[Pairs]:
        """Yield the examples in order, over and over, scaled and with other randomly drawn queries every time."""
        while True:
            for features, gold in training:
                pairs = view(features, gold)
                drawn = torch.randperm(pairs.queries.shape[1], generator=generator)[:QUERIES_PER_EXAMPLE]
                queries, target = self.queries(pairs.queries[:, drawn]), pairs.target[:, drawn].float()
                yield Pairs(queries, self.keys(pairs.keys), target, pairs.valid[drawn])


def learn(
    start: Learned, examples: Iterator[Pairs], loss: Callable[[Learned, Pairs, float], Tensor],
    steps: int,
) -> Learned:  # fmt: skip
    """Minimise a loss with Adam; the learning rate falls linearly to 0.

    Parameters
    ----------
    start : mapping
        Weights to begin with.
    examples : iterator of Pairs
        As `Survey.draw` yields them, without end; each step takes the next few.
    loss : callable
        Returns the loss of each head, `(heads,)`, given the weights, an example and the share of steps done.
    steps : int
        Number of optimiser steps.

    Returns
    -------
    Learned
        The weights, detached.
    """
    learned = {part: {name: value.clone().requires_grad_() for name, value in start[part].items()} for part in start}
    adam = torch.optim.Adam([value for weights in learned.values() for value in weights.values()])
    for step in range(steps):
        adam.param_groups[0]["lr"] = LEARNING_RATE * (1 - step / steps)
        for pairs in islice(examples, EXAMPLES_PER_STEP):
            (loss(learned, pairs, step / steps).sum() / EXAMPLES_PER_STEP).backward()
        adam.step()
        adam.zero_grad()
    return {part: {name: value.detach() for name, value in learned[part].items()} for part in learned}


def support_loss(logits: Tensor, pairs: Pairs, weight: Tensor | None = None) -> Tensor:
    """Return each head's binary cross-entropy with the gold support, the mean over valid pairs.

    Parameters
    ----------
    logits : Tensor
        `(heads, queries, keys)`.
    weight : Tensor, optional
        `(heads,)`: what a gold pair counts for, by default 1.
    """
    weight = None if weight is None else weight[:, None, None]
    losses = binary_cross_entropy_with_logits(logits, pairs.target, pos_weight=weight, reduction="none")
    return (losses * pairs.valid).sum((1, 2)) / pairs.valid.sum().clamp(min=1)


def distribution_loss(logits: Tensor, pairs: Pairs) -> Tensor:
    """Return each head's cross-entropy of softmax with the gold probabilities, the mean over queries that have some.

    Up to a constant it is the divergence KL(gold ‖ softmax); keys that are not valid have no part in either.
    """
    logs = logits.masked_fill(~pairs.valid, torch.finfo(logits.dtype).min).log_softmax(-1)
    sums = pairs.target.sum(-1)
    losses = -(pairs.target * logs).sum(-1) / torch.where(sums > 0, sums, torch.ones_like(sums))
    return losses.sum(1) / (sums > 0).sum(1).clamp(min=1)


def generator_of(name: str, seed: int, layer: int) -> torch.Generator:
    """Return a generator that depends on predictor, seed and layer only."""
    entropy = (seed, zlib.crc32(name.encode()), layer)
    return torch.Generator().manual_seed(int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0]) >> 1)


def of_heads(learned: Learned, features: Features) -> Learned:
    """Return the weights of the heads of `features`, on their device."""
    heads, device = features.heads, features.valid.device
    return {part: {name: value[heads].to(device) for name, value in learned[part].items()} for part in learned}
