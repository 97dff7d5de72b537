"""Pairs of blocks chosen by the scores on their antidiagonals."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from sparse_attention.attention.blocks import block_counts
from sparse_attention.errors import InputError
from sparse_attention.predictors.base import ThresholdPredictor
from sparse_attention.predictors.features import Features


class XAttention(ThresholdPredictor):
    """For each block of queries the fewest blocks of keys that hold a share of at least `threshold` of its attention.

    From XAttention (arXiv 2503.16428): pairs are cut into tiles of `stride` × `stride` and only those on a tile's
    antidiagonal are scored, which every row and every column of the tile crosses once. A tile's score is their mean; a
    softmax over the tiles of a row of tiles, summed over a pair of blocks, estimates its share. Blocks are taken in
    falling order, equal ones from the first, until the shares taken reach `threshold`, so their number adapts.

    Differences: only valid pairs count, also in tiles that a mask or the end cuts (there future keys and zeros behind
    the end count as well); a tile with none of its valid pairs on the antidiagonal has the mean of them all. The first
    block and that of the query's own position are not kept whatever their share (kept tokens and windows of the
    evaluation do that), and the threshold is one for all heads (there it may be fitted for each).
    """

    name = "xattention"
    label = "XAttention blocks"
    group = "Estimates without training"
    paper = "Xu et al. XAttention: Block Sparse Attention with Antidiagonal Scoring. ICML 2025. arXiv:2503.16428"
    parameters = {
        "block": {"type": "integer", "minimum": 1, "description": "tokens per block, of queries and of keys"},
        "stride": {"type": "integer", "minimum": 1, "description": "divides `block`; one pair in `stride` is scored"},
        "threshold": {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
    }
    divides = {"stride": "block"}

    def distances(self, prepared: Features, **others: Any) -> Tensor:
        """Return the share of all blocks of keys before a pair's own in falling order, inf where nothing is valid."""
        block, stride = others["block"], others["stride"]
        if block % stride:
            raise InputError(f"predictors.xattention.stride: {stride}; must divide the block of {block} tokens")
        shares = block_shares(tile_scores(prepared, stride), block // stride)
        ordered = shares.sort(dim=-1, descending=True, stable=True)
        before = ordered.values.cumsum(-1) - ordered.values
        result = torch.empty_like(before).scatter_(-1, ordered.indices, before)
        result.masked_fill_(block_counts(prepared.valid, block) == 0, torch.inf)
        _, queries, keys = prepared.shape
        return result.repeat_interleave(block, dim=1)[:, :queries].repeat_interleave(block, dim=2)[..., :keys]

    def cost(self, features: Features, **point: Any) -> float:
        """Count the scores on antidiagonals of tiles with a valid pair, the softmax, and the order of blocks.

        An exponential counts as eight, normalising and summing as one each, sorting n blocks as n log2 n.
        """
        stride = point["stride"]
        tiles = int((block_counts(features.valid, stride) > 0).sum())
        rows, columns = block_counts(features.valid, point["block"]).shape
        return tiles * (stride * features.raw_keys.shape[-1] + 10.0) + rows * columns * columns.bit_length()


def tile_scores(features: Features, stride: int) -> Tensor:
    """Return the mean score over the valid pairs on each tile's antidiagonal.

    Returns
    -------
    Tensor
        `(heads, ⌈queries / stride⌉, ⌈keys / stride⌉)`, -inf where a tile has no valid pair.
    """
    queries, keys = (
        pad(vectors, (0, 0, 0, -vectors.shape[1] % stride)).unflatten(1, (-1, stride))
        for vectors in (features.raw_queries / features.raw_queries.shape[-1] ** 0.5, features.raw_keys)
    )
    rows, columns = queries.shape[1], keys.shape[1]
    filled = pad(features.valid, (0, -features.shape[2] % stride, 0, -features.shape[1] % stride))
    valid = filled.view(rows, stride, columns, stride)
    sums, counts = queries.new_zeros(features.shape[0], rows, columns), queries.new_zeros(rows, columns)
    for place in range(stride):
        seen = valid[:, stride - 1 - place, :, place]
        products = queries[:, :, stride - 1 - place] @ keys[:, :, place].transpose(-1, -2)
        sums += products.masked_fill_(~seen, 0)
        counts += seen
    scores = (sums / counts.clamp(min=1)).masked_fill_(counts == 0, -torch.inf)
    row, column = torch.nonzero((counts == 0) & valid.any(3).any(1), as_tuple=True)
    if len(row):
        seen = valid[row, :, column]
        products = (queries[:, row] @ keys[:, column].transpose(-1, -2)).masked_fill_(~seen, 0)
        scores[:, row, column] = products.sum((-1, -2)) / seen.sum((-1, -2))
    return scores


def block_shares(scores: Tensor, tiles: int) -> Tensor:
    """Return each pair of blocks' share of its row, from tile scores: blocks are `tiles` × `tiles` tiles."""
    # rows of tiles without a valid pair give NaN, and have no share
    weights = scores.softmax(-1).nan_to_num_(0)
    rows, columns = (-size % tiles for size in scores.shape[1:])
    sums = pad(weights, (0, columns, 0, rows)).unflatten(1, (-1, tiles)).unflatten(-1, (-1, tiles)).sum((2, 4))
    return sums / sums.sum(-1, keepdim=True).clamp(min=torch.finfo(sums.dtype).tiny)
