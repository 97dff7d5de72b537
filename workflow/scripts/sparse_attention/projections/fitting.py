"""Fit projections with the hinge loss on sums of distances to gold keys and to as many sampled other keys.

For a query i with gold support P_i and as many sampled other keys N_i (Sparsefinder, arXiv 2109.12188):

    l_i = max(0, margin + sum_{j in P_i} D(q_i, k_j) - sum_{j in N_i} D(q_i, k_j))

averaged over an example's queries, then over heads and examples. D is the squared L2 distance, or `min`, the least
squared difference over the dimensions. Differences from the original code: negatives are true keys of the query, never
padding or later keys; where a query has fewer other keys than gold keys, all of them are its negatives; a shared
projection is updated once a step; the examples are shuffled in every epoch; what accumulation leaves over at the end
of an epoch makes a step of its own; each layer has its own random numbers; the last bias of a shared projection,
which moves queries and keys alike and so no distance, is zero and stays so (Adam would blow its rounding errors up to
steps of the learning rate, and cosines do depend on it).

With `block_size`, i and j are blocks of tokens: every token is projected, a block's vectors stand one after the other,
zeros behind the example's last token, and a pair of blocks is gold, or valid, when any pair of its tokens is. With
`concat`, query and key of a position have one projected vector, so a distance has no direction: P_i then holds j also
where the valid pair (j, i) is gold, as in the original code.
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
from sparse_attention.projections.model import NAMES, ProjectionSetting, Weights, initial_weights

__all__ = [
    "Batch", "Curves", "FitOptions", "Pairs", "distances", "fit_layer", "hinge_loss", "sample_negatives", "signed_sums",
]  # fmt: skip

# Rounds of rejection sampling; rows that then still lack negatives (dense, or early in a causal example) are sorted.
ROUNDS = 4


class CurveRow(TypedDict):
    """A point of the fitting curves."""

    layer: int
    step: int
    split: str
    loss: float
    recall: float
    sparsity: float


@dataclass(frozen=True)
class FitOptions(Options):
    """The configuration's `fit_projections`, without the source.

    Attributes
    ----------
    distance : str
        D in the loss: l2 (squared) or min.
    margin : float
        Of the hinge loss, and the distance below which a pair counts as predicted; above 0.
    learning_rate : float
        Of Adam; above 0.
    weight_decay : float
        From 0 on.
    epochs : int
        Passes over the train examples; from 1 on.
    max_steps : int, optional
        The most optimiser steps of a layer, from 1 on; None: no limit.
    batch_size : int
        Examples of a batch; from 1 on.
    accumulation : int
        Batches of an optimiser step; from 1 on.
    max_grad_norm : float
        Gradients are scaled down to this norm; above 0.
    eval_steps : int
        Optimiser steps from one point of the curves to the next; from 1 on.
    eval_examples : int
        Examples of each split that the curves are measured on; from 1 on.
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
        """Count the optimiser steps of one layer."""
        steps = self.epochs * -(-examples // (self.batch_size * self.accumulation))
        return steps if self.max_steps is None else min(steps, self.max_steps)


def sample_negatives(support: Tensor, valid: Tensor, generator: torch.Generator) -> Tensor:
    """Choose for every query as many valid keys outside its support as it has keys inside, or all there are.

    Uniform without replacement. Rejection sampling needs time in proportion to the support, not to all pairs.

    Parameters
    ----------
    support : boolean ``(batch, heads, queries, keys)``, inside `valid` ``(batch, queries, keys)``.

    Returns
    -------
    Boolean tensor of the support's shape.
    """
    keys = support.shape[-1]
    blocked = (support | ~valid.unsqueeze(1)).reshape(-1, keys)
    missing = torch.minimum(support.sum(-1).flatten(), keys - blocked.sum(-1))
    chosen = torch.zeros_like(blocked)
    rows = torch.arange(len(missing), device=support.device)
    for _ in range(ROUNDS):
        slots = torch.repeat_interleave(rows, missing)
        if not len(slots):
            break
        drawn = slots * keys + torch.randint(keys, (len(slots),), generator=generator, device=support.device)
        fresh = torch.unique(drawn[~blocked.view(-1)[drawn]])
        blocked.view(-1)[fresh] = True
        chosen.view(-1)[fresh] = True
        missing -= torch.bincount(fresh // keys, minlength=len(missing))
    rows = missing.nonzero().squeeze(1)
    if len(rows):
        scores = torch.rand(len(rows), keys, generator=generator, device=support.device)
        order = scores.masked_fill_(blocked[rows], 2.0).argsort(-1)[:, : int(missing.max())]
        wanted = torch.arange(order.shape[1], device=support.device) < missing[rows, None]
        chosen.view(-1)[(rows[:, None] * keys + order)[wanted]] = True
    return chosen.view(support.shape)


def _signs(batch: Batch, generator: torch.Generator) -> Tensor:
    """Give 1 for the loss's positive keys, -1 for sampled negatives, else 0."""
    negatives = sample_negatives(batch.positives, batch.valid, generator)
    return batch.positives.float().masked_fill_(negatives, -1.0)


def distances(queries: Tensor, keys: Tensor, distance: str) -> Tensor:
    """Give D for all pairs, ``(…, queries, keys)``: squared L2 (`l2`), or the least squared difference (`min`)."""
    if distance == "l2":
        norms = queries.square().sum(-1, keepdim=True) + keys.square().sum(-1).unsqueeze(-2)
        return (norms - 2 * queries @ keys.transpose(-1, -2)).clamp_min(0)
    return _least_difference(queries, keys)


def _least_difference(queries: Tensor, keys: Tensor) -> Tensor:
    columns = ((queries[..., d, None] - keys[..., None, :, d]).square() for d in range(queries.shape[-1]))
    least = next(columns)
    for column in columns:
        least = torch.minimum(least, column)
    return least


def signed_sums(queries: Tensor, keys: Tensor, signs: Tensor, distance: str) -> Tensor:
    """Sum D over each query's keys with the weights `signs` ``(…, queries, keys)``: ``(…, queries)``.

    For squared L2 the sums are matrix products, S·1 |q|² + S |k|² - 2 q·(S k), so no pair's difference is formed.
    """
    if distance == "l2":
        columns = torch.cat([keys, keys.square().sum(-1, keepdim=True), torch.ones_like(keys[..., :1])], -1)
        sums = signs @ columns
        crossed = (queries * sums[..., :-2]).sum(-1)
        return sums[..., -1] * queries.square().sum(-1) + sums[..., -2] - 2 * crossed
    return (signs * _least_difference(queries, keys)).sum(-1)


def hinge_loss(queries: Tensor, keys: Tensor, signs: Tensor, valid: Tensor, margin: float, distance: str) -> Tensor:
    """Give the loss of each example and head, ``(batch, heads)``: the mean over the queries that have a valid key.

    Parameters
    ----------
    queries, keys : projected, ``(batch, heads, n, dim)``.
    signs : ``(batch, heads, queries, keys)``: 1 for positive keys, -1 for sampled negatives, else 0.
    valid : ``(batch, queries, keys)``.
    """
    losses = torch.relu(margin + signed_sums(queries, keys, signs, distance))
    counted = valid.any(-1).unsqueeze(1)
    return (losses * counted).sum(-1) / counted.sum(-1)


def fit_layer(
    layer: int, train: Pairs, validation: Pairs, setting: ProjectionSetting, options: FitOptions, seed: int,
    tick: Callable[[], None] = lambda: None,
) -> tuple[tuple[Weights, Weights], list[CurveRow]]:  # fmt: skip
    """Fit one layer's projections; it depends on `seed` and `layer` only, not on the layers before it.

    Parameters
    ----------
    tick : called after each optimiser step.

    Returns
    -------
    The weights of queries and keys, and the rows of the fitting curves (layer, step, split, loss, recall, sparsity).
    """
    start, order, negatives = (_generator(seed, layer, use) for use in range(3))
    train, validation = train.seen_by(setting), validation.seen_by(setting)
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
    drawn = initial_weights(setting, pairs.qk.info.heads, pairs.qk.info.head_dim, generator)
    weights = {name: value.to(pairs.device).requires_grad_() for name, value in drawn.items()}
    if setting.shared:
        last = NAMES[setting.kind][-1]
        weights[last] = torch.zeros_like(weights[last], requires_grad=False)
    return weights


def _generator(*entropy: int) -> torch.Generator:
    """Make a generator of its own for each tuple of numbers."""
    seed = int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0]) >> 1
    return torch.Generator().manual_seed(seed)


def _groups(examples: int, options: FitOptions, generator: torch.Generator) -> Iterator[list[int]]:
    """Give the examples of each optimiser step, shuffled anew in every epoch; the last step of one may be smaller."""
    size = options.batch_size * options.accumulation
    for _ in range(options.epochs):
        order = torch.randperm(examples, generator=generator).tolist()
        yield from (order[first : first + size] for first in range(0, examples, size))


class Curves:
    """Measures loss, recall and sparsity while a layer is fitted, on a few fixed examples of each split.

    Recall and sparsity are those of the support {D < margin}, per example and head, then averaged. The examples lie
    evenly spread over the split, and the negatives of the loss are the same at every step.
    """

    def __init__(self, layer: int, splits: Sequence[tuple[str, Pairs]], options: FitOptions, seed: int) -> None:
        self.layer, self.splits, self.options, self.seed = layer, splits, options, seed
        self.rows: list[CurveRow] = []

    @torch.no_grad()
    def add(self, step: int, weights: tuple[Weights, Weights]) -> None:
        """Measure both splits after `step` optimiser steps."""
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
        """Give ``(batch, heads, 3)``: loss, recall and sparsity."""
        queries, keys = batch.project(weights)
        distance, margin = self.options.distance, self.options.margin
        loss = hinge_loss(queries, keys, _signs(batch, generator), batch.valid, margin, distance)
        near = (distances(queries, keys, distance) < margin) & batch.valid.unsqueeze(1)
        recall = (near & batch.support).sum((-1, -2)) / batch.support.sum((-1, -2)).clamp_min(1)
        sparsity = 1 - near.sum((-1, -2)) / batch.valid.sum((-1, -2)).unsqueeze(1)
        return torch.stack([loss, recall, sparsity], -1)
