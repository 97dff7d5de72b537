"""Packed storage of the tokens that are left: one row per token, the sequences one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad


class Group(NamedTuple):
    """Sequences whose attention is computed together.

    Attributes
    ----------
    sequences : Tensor
        Indices of the sequences, int64 ``(batch,)``.
    rows : Tensor
        Packed rows of their tokens, int64 ``(batch, n)``; beyond the end of a sequence, its last row again.
    inside : Tensor
        bool ``(batch, n)``, False beyond the end of a sequence.
    log_keep : Tensor
        Logarithm of the keep weights, ``(batch, n)``: 0 for a token, -inf beyond the end of a sequence.
    places : Tensor, optional
        For a group of all sequences: index of each packed row in the flattened ``(batch, n)``, int64 ``(tokens,)``.
    """

    sequences: Tensor
    rows: Tensor
    inside: Tensor
    log_keep: Tensor
    places: Tensor | None = None

    def write(self, target: Tensor, values: Tensor) -> None:
        """Write `values`, ``(batch, n, ...)``, to the packed rows of the group in `target`, ``(tokens, ...)``."""
        if self.places is None:
            target[self.rows[self.inside]] = values[self.inside]
        else:  # known indices, unlike a boolean mask, do not make the processor wait for a GPU
            target.copy_(values.flatten(0, 1).index_select(0, self.places))


class Runs(NamedTuple):
    """The run of neighbouring rows that each row sees.

    Attributes
    ----------
    starts : Tensor
        First row of each sequence, then the number of rows, int32 ``(batch + 1,)``.
    low, high : Tensor
        First row of each row's run, CLS excluded, and the row after its last one, int32 ``(tokens,)``; neither ever
        falls along a sequence.
    longest : int
        Number of rows of the longest sequence.
    """

    starts: Tensor
    low: Tensor
    high: Tensor
    longest: int


class Packed:
    """The tokens of a batch that are left, one row each.

    Parameters
    ----------
    states : Tensor
        ``(batch, n, hidden)``.
    real : Tensor
        bool ``(batch, n)``, False for padding, which is dropped at once.

    Attributes
    ----------
    states : Tensor
        ``(tokens, hidden)``, one sequence after the other.
    origins : Tensor
        Index of each token in the flattened ``(batch, n)``, int64 ``(tokens,)``.
    lengths : list of int
        Number of tokens that are left of each sequence.
    starts : Tensor
        First row of each sequence, then the number of rows, int64 ``(batch + 1,)``.
    """

    def __init__(self, states: Tensor, real: Tensor) -> None:
        self.batch, self.n = real.shape
        self.origins = real.flatten().nonzero()[:, 0]
        self.states = states.flatten(0, 1).index_select(0, self.origins)
        self._begin(pad(real.sum(1).cumsum(0), (1, 0)))

    def _begin(self, starts: Tensor) -> None:
        self.starts = starts
        self.lengths: list[int] = starts.diff().tolist()
        self._whole: Group | None = None
        self._runs: dict[int | None, Runs] = {}

    def groups(self, waste: float) -> Iterator[Group]:
        """Yield groups of sequences, in which padding is at most the share `waste` of any sequence."""
        device = self.states.device
        lengths = torch.tensor(self.lengths)
        starts = lengths.cumsum(0) - lengths
        for members in length_groups(self.lengths, waste):
            sequences = torch.tensor(members)
            rows, inside = _padded_rows(starts[sequences], lengths[sequences], self.lengths[members[0]])
            sequences, rows, inside = (tensor.to(device) for tensor in (sequences, rows, inside))
            yield Group(sequences, rows, inside, self._log_keep(inside))

    def whole(self) -> Group:
        """Return all sequences as one group, in their order, without making the processor wait for a GPU."""
        if self._whole is None:
            longest, device = max(self.lengths), self.starts.device
            rows, inside = _padded_rows(self.starts[:-1], self.starts.diff(), longest)
            sequences = self.origins // self.n
            places = torch.arange(len(sequences), device=device) + (
                torch.arange(self.batch, device=device) * longest - self.starts[:-1]
            ).index_select(0, sequences)
            order = torch.arange(self.batch, device=device)
            self._whole = Group(order, rows, inside, self._log_keep(inside), places)
        return self._whole

    def positions(self, group: Group) -> Tensor:
        """Return the original positions of a group's tokens, int64 ``(batch, n)``."""
        return self.origins[group.rows] % self.n

    def runs(self, window: int | None) -> Runs:
        """Return the run that each row sees under Longformer's window; None is full attention."""
        if window not in self._runs:
            reach = self.n if window is None else window // 2
            sequences, starts = self.origins // self.n, self.starts.int()
            spread = self.origins + sequences * (reach + 1)  # so far apart that no window reaches another sequence
            low = torch.searchsorted(spread, spread - reach, out_int32=True)
            high = torch.searchsorted(spread, spread + reach, right=True, out_int32=True)
            first = starts.index_select(0, sequences) + 1
            self._runs[window] = Runs(starts, torch.maximum(low, first), high, max(self.lengths))
        return self._runs[window]

    def keep_only(self, kept: Tensor) -> Tensor:
        """Drop all tokens but those in `kept`, bool ``(tokens,)``, and return their rows; the caller sets `states`."""
        rows = kept.nonzero()[:, 0]
        self.origins = self.origins.index_select(0, rows)
        self._begin(pad(kept.cumsum(0), (1, 0)).index_select(0, self.starts))
        return rows

    def first_rows(self) -> Tensor:
        """Return the states of each sequence's first token, ``(batch, hidden)``."""
        return self.states.index_select(0, self.starts[:-1])

    def _log_keep(self, inside: Tensor) -> Tensor:
        return torch.zeros(inside.shape, dtype=self.states.dtype, device=inside.device).masked_fill(~inside, -torch.inf)


def _padded_rows(starts: Tensor, lengths: Tensor, longest: int) -> tuple[Tensor, Tensor]:
    """Return `Group.rows` and `Group.inside` of sequences that begin at rows `starts`, int64 ``(batch,)``."""
    columns, lengths = torch.arange(longest, device=starts.device), lengths[:, None]
    return starts[:, None] + torch.minimum(columns, lengths - 1), columns < lengths


def length_groups(lengths: Sequence[int], waste: float) -> list[list[int]]:
    """Sort sequences by falling length, and start a new group where padding would exceed the share `waste`."""
    groups: list[list[int]] = []
    for sequence in sorted(range(len(lengths)), key=lambda index: (-lengths[index], index)):
        if groups and lengths[sequence] >= (1 - waste) * lengths[groups[-1][0]]:
            groups[-1].append(sequence)
        else:
            groups.append([sequence])
    return groups
