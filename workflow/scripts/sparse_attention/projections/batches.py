"""What projections are fitted to: padded batches of examples with their gold supports, by token or by block."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from sparse_attention.attention.blocks import block_counts, block_vectors
from sparse_attention.projections.model import ProjectionSetting, Weights, check_lengths, project_sides

if TYPE_CHECKING:
    from sparse_attention.qk.gold import GoldStore
    from sparse_attention.qk.store import QKStore

# Query-key pairs over all heads in one piece of a batch: bounds the memory; on a CPU a piece should stay in its cache.
PAIRS_AT_ONCE = {"cpu": 2**20, "other": 2**25}


@dataclass(frozen=True)
class Batch:
    """Examples padded to a common size; positions are tokens, or blocks of `block_size` tokens.

    Attributes
    ----------
    queries, keys : ``(batch, heads, tokens, head_dim)``.
    support : gold support by position, boolean ``(batch, heads, queries, keys)``.
    valid : boolean ``(batch, queries, keys)``, False for padding.
    positives : what the loss pulls together, of the support's shape: the support, with `concat` and its transpose.
    lengths : tokens of each example's queries and keys, int64 ``(2, batch)``.
    block_size, concat : see `ProjectionSetting`.
    """

    queries: Tensor
    keys: Tensor
    support: Tensor
    valid: Tensor
    positives: Tensor
    lengths: Tensor
    block_size: int = 1
    concat: bool = False

    def project(self, weights: tuple[Weights, Weights]) -> tuple[Tensor, Tensor]:
        """Project every token and concatenate those of a block: ``(batch, heads, positions, block_size · dim)``."""
        sides = project_sides(weights, self.queries, self.keys, self.concat)
        if self.block_size == 1:
            return sides
        queries, keys = (self._blocks(side, lengths) for side, lengths in zip(sides, self.lengths, strict=True))
        return queries, keys

    def _blocks(self, vectors: Tensor, lengths: Tensor) -> Tensor:
        """Concatenate by block; what a projection makes of padding becomes zero first."""
        present = torch.arange(vectors.shape[2], device=vectors.device) < lengths[:, None]
        return block_vectors(vectors * present[:, None, :, None], self.block_size)


class Pairs:
    """Query-key stores with their gold supports, read an example at a time.

    Parameters
    ----------
    qk, gold : queries and keys, and their gold supports.
    block_size, concat : see `ProjectionSetting`.
    """

    def __init__(
        self, qk: QKStore, gold: GoldStore, device: str = "cpu", block_size: int = 1, concat: bool = False
    ) -> None:
        self.qk, self.gold, self.device, self.block_size, self.concat = qk, gold, device, block_size, concat
        info = qk.info
        if concat:
            check_lengths(info.query_lengths, info.key_lengths)
        lengths = zip(info.query_lengths, info.key_lengths, strict=True)
        self.sizes = [info.heads * -(-queries // block_size) * -(-keys // block_size) for queries, keys in lengths]

    def seen_by(self, setting: ProjectionSetting) -> Pairs:
        """Return the same examples in a projection's blocks, and with its positives."""
        return Pairs(self.qk, self.gold, self.device, setting.block_size, setting.concat)

    def __len__(self) -> int:
        return len(self.sizes)

    def batches(self, layer: int, indices: Sequence[int], most: int) -> Iterator[Batch]:
        """Read examples in pieces of at most `most` examples and about `PAIRS_AT_ONCE` pairs."""
        most_pairs = PAIRS_AT_ONCE["cpu" if torch.device(self.device).type == "cpu" else "other"]
        piece: list[int] = []
        for index in indices:
            largest = max(self.sizes[i] for i in [*piece, index])
            if piece and (len(piece) == most or largest * (len(piece) + 1) > most_pairs):
                yield self._read(layer, piece)
                piece = []
            piece.append(index)
        if piece:
            yield self._read(layer, piece)

    def _read(self, layer: int, indices: Sequence[int]) -> Batch:
        examples = [self.qk.example(layer, index) for index in indices]
        queries, keys, valid = ([getattr(e, name) for e in examples] for name in ("queries", "keys", "valid"))
        supports = [self.gold.example(layer, index).support for index in indices]
        support, allowed = self._positions(supports), self._positions(valid)
        positives = support
        if self.concat:  # the loss does not tell a query from its position's key, so it cannot but take both ways
            both = [pairs | (pairs.mT & permitted) for pairs, permitted in zip(supports, valid, strict=True)]
            positives = self._positions(both)
        lengths = torch.tensor([[side.shape[1] for side in sides] for sides in (queries, keys)], device=self.device)
        padded_queries, padded_keys = (_pad(tensors).to(self.device) for tensors in (queries, keys))
        form = (self.block_size, self.concat)
        return Batch(padded_queries, padded_keys, support, allowed, positives, lengths, *form)

    def _positions(self, pairs: Sequence[Tensor]) -> Tensor:
        """Pad pairs of tokens; those of blocks are True where any pair of their tokens is."""
        if self.block_size > 1:
            pairs = [block_counts(each, self.block_size) > 0 for each in pairs]
        return _pad(pairs).to(self.device)


def _pad(tensors: Sequence[Tensor]) -> Tensor:
    shape = [max(sizes) for sizes in zip(*(tensor.shape for tensor in tensors), strict=True)]
    padded = tensors[0].new_zeros(len(tensors), *shape)
    for row, tensor in zip(padded, tensors, strict=True):
        row[tuple(slice(size) for size in tensor.shape)] = tensor
    return padded
