"""Fit projections with a hinge loss that pulls each query towards its gold keys and away from sampled other keys.

The loss of a query i with gold support P_i and equally many sampled other keys N_i is that of Sparsefinder
(arXiv 2109.12188):

    l_i = max(0, margin + sum_{j in P_i} D(q_i, k_j) - sum_{j in N_i} D(q_i, k_j))

It is averaged over the queries of an example, then over heads and examples. D is the squared L2 distance (`l2`), or the
smallest squared difference over the dimensions (`min`).

Differences from the original code:

- Negatives are valid keys of the query, never padding or later keys. Where a query has fewer other keys than gold keys,
  all of them are negatives.
- A shared projection is updated once per step.
- The examples are shuffled in every epoch.
- Batches that are left over from accumulation at the end of an epoch make a step of their own.
- Each layer has its own random numbers.
- The last bias of a shared projection stays zero. It shifts queries and keys alike, so no distance depends on it, but
  cosines do, and Adam would enlarge its rounding errors to steps of the learning rate.

With `block_size`, i and j are blocks of tokens: every token is projected and the projected vectors of a block are
concatenated, with zeros behind the example's last token. A pair of blocks is gold, or valid, when any of its token
pairs is. With `concat`, the query and the key of a position have one projected vector, so D(i, j) = D(j, i). Then P_i
also holds j where the valid pair (j, i) is gold, as in the original code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from sparse_attention.jobs.options import Options
from sparse_attention.projections.batches import Batch, Pairs
from sparse_attention.projections.losses import distances, hinge_loss, sample_negatives
from sparse_attention.projections.weights import WEIGHT_NAMES, ProjectionSetting, Weights, initial_weights


class CurveRow(TypedDict):
    """A row of the fitting curves: loss, recall and sparsity on one split after some steps."""

    layer: int
    step: int
    split: str
    loss: float
    recall: float
    sparsity: float


@dataclass(frozen=True)
class FitOptions(Options):
    """Options of the configuration section `fit_projections`, without `source`.

    Attributes
    ----------
    distance : str
        D in the loss: l2 (squared) or min.
    margin : float
        Margin of the hinge loss, and the distance below which the curves count a pair as predicted; above 0.
    learning_rate : float
        Learning rate of Adam; above 0.
    weight_decay : float
        Weight decay of Adam; at least 0.
    epochs : int
        Passes over the train examples; at least 1.
    max_steps : int, optional
        Maximum number of optimiser steps per layer, at least 1; None: no limit.
    batch_size : int
        Examples per batch; at least 1.
    accumulation : int
        Batches per optimiser step; at least 1.
    max_grad_norm : float
        Norm to which larger gradients are scaled down; above 0.
    eval_steps : int
        Optimiser steps between two rows of the curves; at least 1.
    eval_examples : int
        Examples of each split on which the curves are measured; at least 1.
    """

    distance: str = "l2"
    margin: float = 1.0
    learning_rate: float = 1e-2
    weight_decay: float = 0.0
    epochs: int = 6
    max_steps: int | None = None
    batch_size: int = 8
    accumulation: int = 1
    max_grad_norm: float = 1.0
    eval_steps: int = 10
    eval_examples: int = 8

    def steps(self, examples: int) -> int:
        """Return the number of optimiser steps per layer for a number of train examples."""
        steps = self.epochs * -(-examples // (self.batch_size * self.accumulation))
        return steps if self.max_steps is None else min(steps, self.max_steps)


def _signs(batch: Batch, generator: torch.Generator) -> Tensor:
    """Return 1 for positive keys, -1 for sampled negatives, else 0: float32 ``(batch, heads, queries, keys)``."""
    negatives = sample_negatives(batch.positives, batch.valid, generator)
    return batch.positives.float().masked_fill_(negatives, -1.0)


def fit_layer(
    layer: int, train: Pairs, validation: Pairs, setting: ProjectionSetting, options: FitOptions, seed: int,
    tick: Callable[[], None] = lambda: None,
) -> tuple[tuple[Weights, Weights], list[CurveRow]]:  # fmt: skip
    """Fit the projections of one layer; all randomness depends on `seed` and `layer` only.

    Parameters
    ----------
    layer : int
        Number of the layer.
    train, validation : Pairs
        Examples to fit to, and examples for the curves.
    setting : ProjectionSetting
        Kind and sizes of the projection.
    options : FitOptions
        Options of the optimisation.
    seed : int
        Seed of initial weights, order of examples and negatives.
    tick : callable
        Called after each optimiser step.

    Returns
    -------
    weights : tuple of Weights
        Those of queries and of keys, on the CPU.
    curves : list of CurveRow
        Rows of the fitting curves.
    """
    start, order, negatives = (_generator(seed, layer, use) for use in range(3))
    train, validation = train.for_setting(setting), validation.for_setting(setting)
    sampling = torch.Generator(train.device).manual_seed(negatives.initial_seed())
    sides = [_initial(setting, train, start) for _ in range(1 if setting.shared else 2)]
    weights = (sides[0], sides[-1])
    parameters = [value for side in sides for value in side.values() if value.requires_grad]
    adam = torch.optim.Adam(parameters, lr=options.learning_rate, weight_decay=options.weight_decay)
    curves = Curves(layer, (("train", train), ("validation", validation)), options, seed)
    curves.add(0, weights)
    last = options.steps(len(train))
    for step, indices in zip(range(1, last + 1), _groups(len(train), options, order), strict=False):
        for batch in train.batches(layer, indices, options.batch_size):
            signs = _signs(batch, sampling)
            queries, keys = batch.project(weights)
            losses = hinge_loss(queries, keys, signs, batch.valid, options.margin, options.distance)
            (losses.mean(1).sum() / len(indices)).backward()
        clip_grad_norm_(parameters, options.max_grad_norm)
        adam.step()
        adam.zero_grad()
        tick()
        if step % options.eval_steps == 0 or step == last:
            curves.add(step, weights)
    fitted = [{name: value.detach().cpu() for name, value in side.items()} for side in sides]
    return (fitted[0], fitted[-1]), curves.rows


def _initial(setting: ProjectionSetting, pairs: Pairs, generator: torch.Generator) -> Weights:
    """Return trainable initial weights of one side; the last bias of a shared projection is a fixed zero."""
    drawn = initial_weights(setting, pairs.qk.info.heads, pairs.qk.info.head_dim, generator)
    weights = {name: value.to(pairs.device).requires_grad_() for name, value in drawn.items()}
    if setting.shared:
        last = WEIGHT_NAMES[setting.kind][-1]
        weights[last] = torch.zeros_like(weights[last], requires_grad=False)
    return weights


def _generator(*entropy: int) -> torch.Generator:
    """Return a generator whose seed depends on all the given numbers."""
    seed = int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0]) >> 1
    return torch.Generator().manual_seed(seed)


def _groups(examples: int, options: FitOptions, generator: torch.Generator) -> Iterator[list[int]]:
    """Yield the examples of each optimiser step, shuffled in every epoch; the last step of an epoch may have fewer."""
    size = options.batch_size * options.accumulation
    for _ in range(options.epochs):
        order = torch.randperm(examples, generator=generator).tolist()
        yield from (order[first : first + size] for first in range(0, examples, size))


class Curves:
    """Fitting curves: loss, recall and sparsity on a few fixed examples of each split while a layer is fitted.

    Recall and sparsity are those of the support {D < margin}, averaged over examples and heads. The examples are evenly
    spread over the split, and the negatives of the loss are the same at every step.
    """

    def __init__(self, layer: int, splits: Sequence[tuple[str, Pairs]], options: FitOptions, seed: int) -> None:
        self.layer, self.splits, self.options, self.seed = layer, splits, options, seed
        self.rows: list[CurveRow] = []

    @torch.no_grad()
    def add(self, step: int, weights: tuple[Weights, Weights]) -> None:
        """Add a row for each split after `step` optimiser steps."""
        for split, pairs in self.splits:
            count = min(self.options.eval_examples, len(pairs))
            indices = [len(pairs) * i // count for i in range(count)]
            generator = torch.Generator(pairs.device).manual_seed(_generator(self.seed, self.layer, 3).initial_seed())
            parts = [self._measure(batch, weights, generator) for batch in pairs.batches(self.layer, indices, count)]
            loss, recall, sparsity = torch.cat(parts).mean((0, 1)).tolist()
            self.rows.append({
                "layer": self.layer, "step": step, "split": split, "loss": loss, "recall": recall, "sparsity": sparsity,
            })  # fmt: skip

    def _measure(self, batch: Batch, weights: tuple[Weights, Weights], generator: torch.Generator) -> Tensor:
        """Return loss, recall and sparsity of each example and head, ``(batch, heads, 3)``."""
        queries, keys = batch.project(weights)
        distance, margin = self.options.distance, self.options.margin
        loss = hinge_loss(queries, keys, _signs(batch, generator), batch.valid, margin, distance)
        near = (distances(queries, keys, distance) < margin) & batch.valid.unsqueeze(1)
        recall = (near & batch.support).sum((-1, -2)) / batch.support.sum((-1, -2)).clamp_min(1)
        sparsity = 1 - near.sum((-1, -2)) / batch.valid.sum((-1, -2)).unsqueeze(1)
        return torch.stack([loss, recall, sparsity], -1)
