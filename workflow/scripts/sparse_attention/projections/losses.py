"""The hinge loss of `fitting`: distances of pairs, sampled negatives, and the sums over the keys of each query."""

from __future__ import annotations

import torch
from torch import Tensor

# Rounds of rejection sampling. Rows that still lack negatives afterwards (dense rows, or early ones of a causal
# example) get theirs from a sort.
ROUNDS = 4


def sample_negatives(support: Tensor, valid: Tensor, generator: torch.Generator) -> Tensor:
    """Sample for each query as many valid keys outside its support as it has keys inside, or all if there are fewer.

    Keys are drawn uniformly without replacement. Rejection sampling takes time in proportion to the size of the
    support, not to the number of pairs.

    Parameters
    ----------
    support : Tensor
        Bool ``(batch, heads, queries, keys)``, a part of `valid`.
    valid : Tensor
        Bool ``(batch, queries, keys)``.
    generator : torch.Generator
        Source of randomness.

    Returns
    -------
    Tensor
        Bool ``(batch, heads, queries, keys)``.
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


def distances(queries: Tensor, keys: Tensor, distance: str) -> Tensor:
    """Compute the distance D of all pairs.

    Parameters
    ----------
    queries, keys : Tensor
        ``(…, queries, dim)`` and ``(…, keys, dim)``.
    distance : str
        `l2` (squared L2 distance) or `min` (smallest squared difference over the dimensions).

    Returns
    -------
    Tensor
        ``(…, queries, keys)``.
    """
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
    """Sum the distances D between each query and its keys, weighted by `signs`.

    For squared L2 the sums are the matrix products `S·1 |q|² + S |k|² - 2 q·(S k)` with S = signs, so that no
    difference of a pair is computed.

    Parameters
    ----------
    queries, keys : Tensor
        ``(…, queries, dim)`` and ``(…, keys, dim)``.
    signs : Tensor
        ``(…, queries, keys)``.
    distance : str
        l2 or min.

    Returns
    -------
    Tensor
        ``(…, queries)``.
    """
    if distance == "l2":
        columns = torch.cat([keys, keys.square().sum(-1, keepdim=True), torch.ones_like(keys[..., :1])], -1)
        sums = signs @ columns
        crossed = (queries * sums[..., :-2]).sum(-1)
        return sums[..., -1] * queries.square().sum(-1) + sums[..., -2] - 2 * crossed
    return (signs * _least_difference(queries, keys)).sum(-1)


def hinge_loss(queries: Tensor, keys: Tensor, signs: Tensor, valid: Tensor, margin: float, distance: str) -> Tensor:
    """Compute the loss of each example and head: the mean over the queries that have a valid key.

    Parameters
    ----------
    queries, keys : Tensor
        Projected, ``(batch, heads, queries, dim)`` and ``(batch, heads, keys, dim)``.
    signs : Tensor
        ``(batch, heads, queries, keys)``: 1 for positive keys, -1 for sampled negatives, else 0.
    valid : Tensor
        Bool ``(batch, queries, keys)``.
    margin, distance
        See `FitOptions`.

    Returns
    -------
    Tensor
        ``(batch, heads)``.
    """
    losses = torch.relu(margin + signed_sums(queries, keys, signs, distance))
    counted = valid.any(-1).unsqueeze(1)
    return (losses * counted).sum(-1) / counted.sum(-1)
