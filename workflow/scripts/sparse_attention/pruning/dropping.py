"""Prediction with tokens really removed: states lie packed, one row per token that is left, whatever its sequence.

Linear layers run on the packed rows. Attention runs on sequences of similar length together, the only padding left.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from sparse_attention.pruning.layers import Layer, Projected


class Group(NamedTuple):
    """Sequences whose attention is computed together.

    Attributes
    ----------
    sequences : Tensor
        int64 `(batch)`.
    rows : Tensor
        Packed rows of their tokens, int64 `(batch, n)`; beyond a sequence's end, its last row again.
    inside : Tensor
        bool `(batch, n)`, False beyond a sequence's end.
    """

    sequences: Tensor
    rows: Tensor
    inside: Tensor


class Packed:
    """The tokens of a batch that are left.

    Parameters
    ----------
    states : Tensor
        `(batch, n, hidden)`.
    real : Tensor
        bool `(batch, n)`, False for padding, which is dropped at once.

    Attributes
    ----------
    states : Tensor
        `(tokens, hidden)`, one sequence after the other.
    origins : Tensor
        Each token's place in the flattened batch, int64 `(tokens)`.
    lengths : list of int
        The number of tokens left of each sequence.
    """

    def __init__(self, states: Tensor, real: Tensor) -> None:
        self.batch, self.n = real.shape
        self.origins = real.flatten().nonzero()[:, 0]
        self.states = states.flatten(0, 1).index_select(0, self.origins)
        self.lengths: list[int] = real.sum(1).tolist()

    def groups(self, waste: float) -> Iterator[Group]:
        """Yield groups of sequences of which none is padded by more than the share `waste`."""
        device = self.states.device
        lengths = torch.tensor(self.lengths)
        starts = lengths.cumsum(0) - lengths
        for members in length_groups(self.lengths, waste):
            sequences = torch.tensor(members)
            places = torch.arange(int(lengths[sequences[0]]))
            inside = places < lengths[sequences][:, None]
            rows = starts[sequences][:, None] + torch.minimum(places, lengths[sequences][:, None] - 1)
            yield Group(sequences.to(device), rows.to(device), inside.to(device))

    def positions(self, group: Group) -> Tensor:
        """Return the original positions of a group's tokens, `(batch, n)`."""
        return self.origins[group.rows] % self.n

    def log_keep(self, group: Group) -> Tensor:
        """Return the keep state of a group's tokens, `(batch, n)`: all that is left is kept, and beyond it -inf."""
        state = torch.zeros(group.rows.shape, dtype=self.states.dtype, device=self.states.device)
        return state.masked_fill(~group.inside, -torch.inf)

    def leave(self, kept: Tensor) -> Tensor:
        """Drop all but the tokens that are `kept`, bool `(tokens)`, and return their rows; the caller sets `states`."""
        rows = kept.nonzero()[:, 0]
        self.origins = self.origins.index_select(0, rows)
        self.lengths = torch.bincount(self.origins // self.n, minlength=self.batch).tolist()
        return rows

    def first_rows(self) -> Tensor:
        """Return the states of each sequence's first token, `(batch, hidden)`."""
        lengths = torch.tensor(self.lengths, device=self.states.device)
        return self.states.index_select(0, lengths.cumsum(0) - lengths)


def length_groups(lengths: Sequence[int], waste: float) -> list[list[int]]:
    """Sort sequences by falling length, and start a new group where one would be padded by more than `waste`."""
    groups: list[list[int]] = []
    for sequence in sorted(range(len(lengths)), key=lambda index: (-lengths[index], index)):
        if groups and lengths[sequence] >= (1 - waste) * lengths[groups[-1][0]]:
            groups[-1].append(sequence)
        else:
            groups.append([sequence])
    return groups


def gather(packed: Packed, projected: Projected, group: Group) -> tuple[Tensor, Projected, Tensor, Tensor]:
    """Return what `Layer.attend` takes for a group."""
    query, key, value = (tensor[group.rows] for tensor in projected)
    return packed.states[group.rows], (query, key, value), packed.positions(group), packed.log_keep(group)


def store(target: Tensor, values: Tensor, group: Group) -> None:
    """Write a group's `values`, `(batch, n, ...)`, to their packed rows of `target`, `(tokens, ...)`."""
    target[group.rows[group.inside]] = values[group.inside]


def last_cls(layer: Layer, packed: Packed, waste: float) -> Tensor:
    """Return the states of CLS after the layer, `(batch, hidden)`, without computing those of other tokens."""
    entering = packed.first_rows()
    context = torch.empty_like(entering)
    for group in packed.groups(waste):
        context[group.sequences] = layer.cls_context(packed.states[group.rows], packed.log_keep(group))
    return layer.finish(context, entering)
