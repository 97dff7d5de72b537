"""Shared parts of learned predictors: maps of raw queries and keys, learned from gold supports for all heads at once.

The first axis of every tensor of `Learned` is the heads of the layer. Losses are computed per head, so each head learns
independently of the others.
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
    from sparse_attention.projections.weights import Weights
    from sparse_attention.qk.gold import Gold

Learned = Mapping[str, "Weights"]
# Large enough for stable gradients; together they bound the time of a step for any corpus.
EXAMPLES_PER_STEP = 4
QUERIES_PER_EXAMPLE = 64
# Learning rate of Adam's first step. Vectors are standardised, so that one rate suits all heads and models.
LEARNING_RATE = 0.05
# A dimension whose deviation is smaller than this, relative to the size of vectors, counts as constant: dividing by
# the deviation would amplify rounding errors.
CONSTANT = 1e-6


class Pairs(NamedTuple):
    """Queries and keys of one example with the target of learning for each pair.

    Attributes
    ----------
    queries, keys : Tensor
        ``(heads, queries, dim)`` and ``(heads, keys, dim)``.
    target : Tensor
        ``(heads, queries, keys)``: the gold support or the gold probabilities; 0 for invalid pairs.
    valid : Tensor
        Bool ``(queries, keys)``.
    """

    queries: Tensor
    keys: Tensor
    target: Tensor
    valid: Tensor


ToPairs = Callable[["Features", "Gold"], Pairs]


def support_pairs(features: Features, gold: Gold) -> Pairs:
    """Return the raw vectors of an example with its gold support as the target."""
    return Pairs(features.raw_queries, features.raw_keys, gold.support, features.valid)


def probability_pairs(features: Features, gold: Gold) -> Pairs:
    """Return the raw vectors of an example with its gold probabilities as the target."""
    return Pairs(features.raw_queries, features.raw_keys, gold.dense(), features.valid)


@dataclass(frozen=True)
class Scale:
    """Mean and standard deviation of the vectors of each head; maps are learned on standardised vectors.

    Attributes
    ----------
    mean, deviation : Tensor
        float32 ``(heads, 1, dim)``.
    """

    mean: Tensor
    deviation: Tensor

    def __call__(self, vectors: Tensor) -> Tensor:
        """Standardise vectors ``(heads, n, dim)`` to mean 0 and deviation 1."""
        return (vectors - self.mean) / self.deviation

    def fold(self, weights: Weights) -> Weights:
        """Return weights that map raw vectors to what `weights` map standardised vectors to."""
        first, bias = ("w", "b") if "w" in weights else ("w1", "b1")
        scaled = weights[first] / self.deviation.mT
        return {**weights, first: scaled, bias: weights[bias] - self.mean @ scaled}


@dataclass
class Moments:
    """Number of vectors, their sum and the sum of their squares, from which mean and deviation follow.

    Attributes
    ----------
    count : int
        Number of vectors per head.
    sums, squares : Tensor
        float64 ``(heads, dim)``.
    """

    count: int = 0
    sums: Tensor = field(default_factory=lambda: torch.zeros((), dtype=torch.float64))
    squares: Tensor = field(default_factory=lambda: torch.zeros((), dtype=torch.float64))

    def add(self, vectors: Tensor) -> None:
        """Add vectors ``(heads, n, dim)``."""
        self.count += vectors.shape[1]
        self.sums = self.sums + vectors.double().sum(1)
        self.squares = self.squares + vectors.double().square().sum(1)

    def scale(self) -> Scale:
        """Return mean and deviation; the deviation of a constant dimension is set to 1."""
        mean, square = self.sums / max(self.count, 1), self.squares / max(self.count, 1)
        deviation = (square - mean.square()).clamp(min=0).sqrt()
        varies = deviation > CONSTANT * square.mean(-1, keepdim=True).sqrt()
        deviation = torch.where(varies, deviation, torch.ones_like(deviation))
        return Scale(mean[:, None].float(), deviation[:, None].float())


@dataclass(frozen=True)
class TrainingStatistics:
    """Statistics of the training examples, from one pass before learning starts.

    Attributes
    ----------
    queries, keys : Scale
        Mean and deviation of all queries and of all keys.
    share : Tensor
        float32 ``(heads,)``: smoothed share of valid pairs in the gold support, strictly between 0 and 1.
    """

    queries: Scale
    keys: Scale
    share: Tensor

    @classmethod
    def of(cls, training: Any, to_pairs: ToPairs) -> TrainingStatistics:
        """Compute the statistics from all examples.

        Parameters
        ----------
        training : sized iterable
            Features and gold supports of the train split.
        to_pairs : callable
            Turns features and gold support of an example into `Pairs`.

        Raises
        ------
        InputError
            When there are no examples.
        """
        if not len(training):
            raise InputError("train split: holds no examples; allowed for a learned predictor: at least one")
        queries, keys, inside, valid = Moments(), Moments(), torch.zeros(()), 0
        for features, gold in training:
            pairs = to_pairs(features, gold)
            queries.add(pairs.queries)
            keys.add(pairs.keys)
            inside = inside + (pairs.target > 0).sum((1, 2))
            valid += int(pairs.valid.sum())
        return cls(queries.scale(), keys.scale(), (inside + 1) / (valid + 2))

    def draw(self, training: Any, to_pairs: ToPairs, generator: torch.Generator) -> Iterator[Pairs]:
        """Yield standardised examples in order, without end, each time with newly drawn queries."""
        while True:
            for features, gold in training:
                pairs = to_pairs(features, gold)
                drawn = torch.randperm(pairs.queries.shape[1], generator=generator)[:QUERIES_PER_EXAMPLE]
                queries, target = self.queries(pairs.queries[:, drawn]), pairs.target[:, drawn].float()
                yield Pairs(queries, self.keys(pairs.keys), target, pairs.valid[drawn])


def learn(
    start: Learned, examples: Iterator[Pairs], loss: Callable[[Learned, Pairs, float], Tensor],
    steps: int,
) -> Learned:  # fmt: skip
    """Minimise a loss with Adam, with a learning rate that falls linearly to 0.

    Parameters
    ----------
    start : mapping
        Initial weights.
    examples : iterator of Pairs
        Endless, from `TrainingStatistics.draw`; each step uses the next `EXAMPLES_PER_STEP`.
    loss : callable
        Returns the loss of each head, ``(heads,)``, for the weights, an example and the share of steps done so far.
    steps : int
        Number of optimiser steps.

    Returns
    -------
    Learned
        The learned weights, without gradient.
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
    """Compute the binary cross-entropy with the gold support, averaged over valid pairs.

    Parameters
    ----------
    logits : Tensor
        Log-odds of each pair, ``(heads, queries, keys)``.
    pairs : Pairs
        Its target is the gold support as 0 and 1.
    weight : Tensor, optional
        ``(heads,)``: weight of a gold pair, by default 1.

    Returns
    -------
    Tensor
        ``(heads,)``.
    """
    weight = None if weight is None else weight[:, None, None]
    losses = binary_cross_entropy_with_logits(logits, pairs.target, pos_weight=weight, reduction="none")
    return (losses * pairs.valid).sum((1, 2)) / pairs.valid.sum().clamp(min=1)


def distribution_loss(logits: Tensor, pairs: Pairs) -> Tensor:
    """Compute the cross-entropy of a softmax with the gold probabilities, averaged over queries with gold keys.

    Up to a constant it is the divergence KL(gold ‖ softmax); invalid keys have probability 0 in both.

    Parameters
    ----------
    logits : Tensor
        ``(heads, queries, keys)``.
    pairs : Pairs
        Its target is the gold probabilities.

    Returns
    -------
    Tensor
        ``(heads,)``.
    """
    logs = logits.masked_fill(~pairs.valid, torch.finfo(logits.dtype).min).log_softmax(-1)
    sums = pairs.target.sum(-1)
    losses = -(pairs.target * logs).sum(-1) / torch.where(sums > 0, sums, torch.ones_like(sums))
    return losses.sum(1) / (sums > 0).sum(1).clamp(min=1)


def generator_of(name: str, seed: int, layer: int) -> torch.Generator:
    """Return a random generator that depends only on the name of the predictor, the seed and the layer."""
    entropy = (seed, zlib.crc32(name.encode()), layer)
    return torch.Generator().manual_seed(int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0]) >> 1)


def weights_for(features: Features, learned: Learned) -> Learned:
    """Return the weights of the heads of `features`, on their device."""
    heads, device = features.heads, features.device
    return {part: {name: value[heads].to(device) for name, value in learned[part].items()} for part in learned}
