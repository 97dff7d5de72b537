"""Padded batches of examples with their gold supports, by token or by block, to which projections are fitted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from sparse_attention.attention.blocks import block_counts, block_vectors
from sparse_attention.projections.weights import ProjectionSetting, Weights, check_lengths, project_sides

if TYPE_CHECKING:
    from sparse_attention.qk.gold import GoldStore
    from sparse_attention.qk.store import QKStore

# Most query–key pairs, over all heads, in one piece of a batch: bounds the memory; on a CPU a piece fits its cache.
PAIRS_AT_ONCE = {"cpu": 2**20, "other": 2**25}


@dataclass(frozen=True)
class Batch:
    """Examples padded to a common size; a position is a token, or a block of `block_size` tokens.

    Attributes
    ----------
    queries, keys : Tensor
        ``(batch, heads, tokens, head_dim)``.
    support : Tensor
        Gold support of positions, bool ``(batch, heads, queries, keys)``.
    valid : Tensor
        Bool ``(batch, queries, keys)``, False for padding.
    positives : Tensor
        Bool ``(batch, heads, queries, keys)``: the pairs whose distance the loss reduces. They are the support; with
        `concat` also the valid pairs of its transpose.
    lengths : Tensor
        int64 ``(2, batch)``: number of queries and of keys of each example, in tokens.
    block_size, concat
        See `ProjectionSetting`.
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
        """Project queries and keys by token, and concatenate the projected vectors of each block.

        Parameters
        ----------
        weights : tuple of Weights
            Those of queries and of keys.

        Returns
        -------
        tuple of Tensor
            Projected queries and keys, ``(batch, heads, positions, block_size · dim)``.
        """
        sides = project_sides(weights, self.queries, self.keys, self.concat)
        if self.block_size == 1:
            return sides
        queries, keys = (self._blocks(side, lengths) for side, lengths in zip(sides, self.lengths, strict=True))
        return queries, keys

    def _blocks(self, vectors: Tensor, lengths: Tensor) -> Tensor:
        """Concatenate the vectors of each block, after setting those of padding to zero."""
        present = torch.arange(vectors.shape[2], device=vectors.device) < lengths[:, None]
        return block_vectors(vectors * present[:, None, :, None], self.block_size)


class Pairs:
    """Stored queries and keys with their gold supports, read in batches.

    Parameters
    ----------
    qk : QKStore
        Queries and keys.
    gold : GoldStore
        Their gold supports.
    device : str
        Device of the batches.
    block_size, concat
        See `ProjectionSetting`.

    Raises
    ------
    InputError
        With `concat`, when an example has not as many queries as keys.
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

    def for_setting(self, setting: ProjectionSetting) -> Pairs:
        """Return the same examples with the `block_size` and `concat` of a projection."""
        return Pairs(self.qk, self.gold, self.device, setting.block_size, setting.concat)

    def __len__(self) -> int:
        return len(self.sizes)

    def batches(self, layer: int, indices: Sequence[int], max_examples: int) -> Iterator[Batch]:
        """Yield examples of a layer in batches of at most `max_examples` examples and about `PAIRS_AT_ONCE` pairs."""
        max_pairs = PAIRS_AT_ONCE["cpu" if torch.device(self.device).type == "cpu" else "other"]
        piece: list[int] = []
        for index in indices:
            largest = max(self.sizes[i] for i in [*piece, index])
            if piece and (len(piece) == max_examples or largest * (len(piece) + 1) > max_pairs):
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
        if self.concat:  # query and key of a position have one vector, so the pairs (i, j) and (j, i) have one distance
            both = [pairs | (pairs.mT & permitted) for pairs, permitted in zip(supports, valid, strict=True)]
            positives = self._positions(both)
        lengths = torch.tensor([[side.shape[1] for side in sides] for sides in (queries, keys)], device=self.device)
        padded_queries, padded_keys = (_pad(tensors).to(self.device) for tensors in (queries, keys))
        form = (self.block_size, self.concat)
        return Batch(padded_queries, padded_keys, support, allowed, positives, lengths, *form)

    def _positions(self, pairs: Sequence[Tensor]) -> Tensor:
        """Pad masks of token pairs to one size; a pair of blocks is True where any of its token pairs is."""
        if self.block_size > 1:
            pairs = [block_counts(each, self.block_size) > 0 for each in pairs]
        return _pad(pairs).to(self.device)


def _pad(tensors: Sequence[Tensor]) -> Tensor:
    """Stack tensors of different sizes, padded with zeros at their ends."""
    shape = [max(sizes) for sizes in zip(*(tensor.shape for tensor in tensors), strict=True)]
    padded = tensors[0].new_zeros(len(tensors), *shape)
    for row, tensor in zip(padded, tensors, strict=True):
        row[tuple(slice(size) for size in tensor.shape)] = tensor
    return padded
