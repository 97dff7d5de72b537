"""Quirks of the fitting of projections."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence

import torch
from torch import Tensor

from sparse_attention.as_published.registry import quirk
from sparse_attention.projections import fitting
from sparse_attention.projections import losses as our_losses
from sparse_attention.projections import weights as our_weights
from sparse_attention.projections.batches import Batch, Pairs
from sparse_attention.projections.weights import WEIGHT_NAMES, ProjectionSetting, Weights

ALL = (
    "initialisation",
    "trained_bias",
    "doubled_updates",
    "negatives_by_rank",
    "positives_as_negatives",
    "fixed_order",
    "spilled_gradients",
)


@quirk(
    "initialisation",
    "projections",
    "The initialiser takes head_dim × dim for the inputs of the weights and 1 for those of the biases: weights start "
    "within ±1/√(head_dim · dim), biases within ±1.",
)
def initial_weights(setting: ProjectionSetting, heads: int, head_dim: int, generator: torch.Generator) -> Weights:
    """Draw weights as `projections.weights.initial_weights`, and scale them to the published bounds."""
    weights = our_weights.initial_weights(setting, heads, head_dim, generator)
    names = WEIGHT_NAMES[setting.kind]
    for weight, bias in zip(names[::2], names[1::2], strict=True):
        _, fan_in, fan_out = weights[weight].shape
        weights[weight] /= math.sqrt(fan_out)
        weights[bias] *= math.sqrt(fan_in)
    return weights


@quirk(
    "trained_bias",
    "projections",
    "The last bias of a shared projection is trained, although no L2 distance depends on it: Adam turns its rounding "
    "noise into full steps, which move cosines.",
)
def sides(
    setting: ProjectionSetting, heads: int, head_dim: int, generator: torch.Generator, quirks: Collection[str]
) -> list[Weights]:
    """Return trainable initial weights of queries and keys; a list of one when they are shared."""
    draw = initial_weights if "initialisation" in quirks else our_weights.initial_weights
    drawn = [draw(setting, heads, head_dim, generator) for _ in range(1 if setting.shared else 2)]
    for weights in drawn:
        for value in weights.values():
            value.requires_grad_()
        if setting.shared and "trained_bias" not in quirks:
            last = WEIGHT_NAMES[setting.kind][-1]
            weights[last] = torch.zeros_like(weights[last], requires_grad=False)
    return drawn


@quirk(
    "doubled_updates",
    "projections",
    "A shared projection is in the optimiser twice: a step makes two updates of Adam, and clips the gradient twice by "
    "a norm √2 too large.",
)
def doubled_update(adam: torch.optim.Adam, parameters: Sequence[Tensor], max_norm: float) -> None:
    """Clip gradients and update as for a list that holds every parameter twice."""
    gradients = [value.grad for value in parameters if value.grad is not None]
    norm = math.sqrt(2) * torch.linalg.vector_norm(torch.stack([gradient.norm() for gradient in gradients]))
    for gradient in gradients:
        gradient.mul_((max_norm / (norm + 1e-6)).clamp(max=1) ** 2)
    adam.step()
    adam.step()


@quirk(
    "positives_as_negatives",
    "projections",
    "A query with fewer other keys than gold keys gets gold keys for its missing negatives: their terms cancel.",
)
@quirk(
    "negatives_by_rank",
    "projections",
    "Negatives are drawn by rank among the zero probabilities, whose order is arbitrary: padding keys and, with causal "
    "attention, later keys can be negatives.",
)
def sample_negatives(support: Tensor, valid: Tensor, generator: torch.Generator, quirks: Collection[str]) -> Tensor:
    """Sample negatives as `projections.losses.sample_negatives`, or with these quirks.

    Where the order of keys is arbitrary in the published code, it is random here.

    Parameters
    ----------
    support : Tensor
        Bool ``(batch, heads, queries, keys)``.
    valid : Tensor
        Bool ``(batch, queries, keys)``.
    generator : torch.Generator
        Source of randomness.
    quirks : collection of str
        Names of the quirks to reproduce.

    Returns
    -------
    Tensor
        Bool ``(batch, heads, queries, keys)``.
    """
    if not {"negatives_by_rank", "positives_as_negatives"}.intersection(quirks):
        return our_losses.sample_negatives(support, valid, generator)
    positives = support.sum(-1)
    pool = valid.unsqueeze(1).expand_as(support)
    room = (pool & ~support).sum(-1)
    if "negatives_by_rank" in quirks:
        # the first ranks, as many as the example has tokens, are its gold keys, then arbitrary keys of the padded row
        lengths = valid.any(1).sum(-1)[:, None, None]
        pool, room = pool.any(-1, keepdim=True).expand_as(pool), (lengths - positives) * pool.any(-1)
    chosen = our_losses.sample_negatives(support, pool[:, 0], generator)
    dense = positives > room
    if dense.any():
        # rows of other queries must be the same as without these quirks, so this draw must not advance the generator
        copy = torch.Generator(support.device)
        copy.set_state(generator.get_state())
        wanted = positives[dense] if "positives_as_negatives" in quirks else room[dense]
        noise = torch.rand(2, *support[dense].shape, generator=copy, device=support.device)
        candidates = first_in_order(noise[0] + ~(pool & ~support)[dense], room[dense])
        # if the candidates are fewer than wanted, other keys follow in random order
        chosen[dense] = first_in_order(noise[1] + ~candidates, wanted)
    return chosen


def first_in_order(order: Tensor, counts: Tensor) -> Tensor:
    """Return a bool mask of the `counts` ``(…)`` lowest numbers of each row of `order` ``(…, keys)``."""
    return order.argsort(-1).argsort(-1) < counts.unsqueeze(-1)


@quirk(
    "spilled_gradients",
    "projections",
    "Gradients that accumulation leaves over at the end of an epoch go into the next epoch's first step, and those of "
    "the last epoch are lost.",
)
@quirk("fixed_order", "projections", "The examples of an epoch come in the order of the file, never shuffled.")
def steps(
    examples: int, options: fitting.FitOptions, generator: torch.Generator, quirks: Collection[str]
) -> Iterator[list[tuple[list[int], int]]]:
    """Yield for each optimiser step its groups of examples, each with the divisor of its losses."""
    size, groups = options.batch_size, []
    for _ in range(options.epochs):
        order = torch.randperm(examples, generator=generator).tolist()
        if "fixed_order" in quirks:
            order = list(range(examples))
        if "spilled_gradients" not in quirks:
            size = options.batch_size * options.accumulation
            yield from ([(order[i : i + size], len(order[i : i + size]))] for i in range(0, examples, size))
            continue
        for number, i in enumerate(range(0, examples, size), start=1):
            groups.append((order[i : i + size], len(order[i : i + size]) * options.accumulation))
            if number % options.accumulation == 0:
                yield groups
                groups = []


def fit_layer(
    layer: int, train: Pairs, setting: ProjectionSetting, options: fitting.FitOptions, seed: int,
    quirks: Collection[str] = (),
) -> tuple[Weights, Weights]:  # fmt: skip
    """Fit the projections of one layer with some quirks; without quirks, as `projections.fitting.fit_layer`."""
    train = train.for_setting(setting)
    start, order, negatives = (fitting._generator(seed, layer, use) for use in range(3))
    weights = sides(setting, train.qk.info.heads, train.qk.info.head_dim, start, quirks)
    parameters = [value for side in weights for value in side.values() if value.requires_grad]
    adam = torch.optim.Adam(parameters, lr=options.learning_rate, weight_decay=options.weight_decay)
    for _, groups in zip(range(options.steps(len(train))), steps(len(train), options, order, quirks), strict=False):
        for indices, divisor in groups:
            for batch in batches(train, layer, indices, options, quirks):
                chosen = sample_negatives(batch.positives, batch.valid, negatives, quirks)
                signs = batch.positives.float() - chosen.float()
                queries, keys = batch.project((weights[0], weights[-1]))
                losses = our_losses.hinge_loss(queries, keys, signs, batch.valid, options.margin, options.distance)
                (losses.mean(1).sum() / divisor).backward()
        if "doubled_updates" in quirks and setting.shared:
            doubled_update(adam, parameters, options.max_grad_norm)
        else:
            torch.nn.utils.clip_grad_norm_(parameters, options.max_grad_norm)
            adam.step()
        adam.zero_grad()
    fitted = [{name: value.detach() for name, value in side.items()} for side in weights]
    return fitted[0], fitted[-1]


def batches(
    train: Pairs, layer: int, indices: Sequence[int], options: fitting.FitOptions, quirks: Collection[str]
) -> Iterator[Batch]:
    """Yield the examples of a step; where padding can be a negative, in whole batches with their padding."""
    if "negatives_by_rank" not in quirks:
        yield from train.batches(layer, indices, options.batch_size)
        return
    for first in range(0, len(indices), options.batch_size):
        yield train._read(layer, indices[first : first + options.batch_size])
