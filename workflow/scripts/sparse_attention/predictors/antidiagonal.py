"""Choose pairs of blocks by the scores on their antidiagonals (XAttention)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from sparse_attention.attention.blocks import block_any, regrouped
from sparse_attention.attention.levels import levels_of_thresholds
from sparse_attention.errors import InputError
from sparse_attention.predictors.base import ThresholdPredictor
from sparse_attention.predictors.features import Features

TILES_AT_ONCE = 4096  # whose vectors are gathered


class XAttention(ThresholdPredictor):
    """Keep for each block of queries the fewest blocks of keys with an estimated attention share of `threshold`.

    From XAttention (arXiv 2503.16428). The pairs are divided into tiles of `stride` × `stride` pairs, and only the
    pairs on a tile's antidiagonal are scored, which crosses every row and every column of the tile once. The score of a
    tile is their mean. A softmax over each row of tiles, summed over the tiles of a pair of blocks, estimates the share
    of attention that the pair holds. Blocks are taken in the order of falling share, of equal shares the earlier block,
    until the sum of their shares reaches `threshold`. So the number of blocks adapts to the content.

    Differences from XAttention:

    - Only valid pairs count, also in tiles that a mask or the end of the text cuts. There, future keys and zeros behind
      the end count as well.
    - A tile whose antidiagonal holds none of its valid pairs has the mean score of all of them.
    - The first block and the block of the query's own position are not always kept; the windows and kept tokens of the
      evaluation can do that.
    - All heads have the same threshold. There, it may be fitted for each head.
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
    quadratic = False

    def distances(self, prepared: Features, **others: Any) -> Tensor:
        """Return the summed share of the blocks that come before a pair's block, inf where no pair is valid.

        Float ``(heads, queries, keys)``; a pair is kept when this sum is below the threshold.
        """
        (_, queries, keys), block = prepared.shape, others["block"]
        before = self.shares_before(prepared, **others)
        return before.repeat_interleave(block, dim=1)[:, :queries].repeat_interleave(block, dim=2)[..., :keys]

    def block_pairs(self, features: Features, query_block: int, key_block: int, **point: Any) -> Tensor:
        """Return the blocks that hold a part of a kept pair of XAttention's blocks; see `Predictor.block_pairs`."""
        (_, queries, keys), block = features.shape, point["block"]
        before = self.shares_before(features, block=block, stride=point["stride"])
        kept = levels_of_thresholds(before, [point["threshold"]]) == 0
        return regrouped(regrouped(kept, 1, queries, block, query_block), 2, keys, block, key_block)

    def shares_before(self, prepared: Features, **others: Any) -> Tensor:
        """Return for each pair of blocks the summed share of those that come before it, inf where no pair is valid."""
        block, stride = others["block"], others["stride"]
        if block % stride:
            raise InputError(f"predictors.xattention.stride: {stride}; allowed: a divisor of block, {block}")
        tiles = tile_scores(prepared, stride)
        shares = block_shares(tiles, block // stride)
        ordered = shares.sort(dim=-1, descending=True, stable=True)
        before = ordered.values.cumsum(-1) - ordered.values
        result = torch.empty_like(before).scatter_(-1, ordered.indices, before)
        # a tile without a valid pair has the score -inf, for all heads
        return result.masked_fill_(~block_any(tiles[0] > -torch.inf, block // stride), torch.inf)

    def cost(self, features: Features, **point: Any) -> float:
        """Count the scores on antidiagonals of tiles with a valid pair, the softmax, and the sorting of blocks.

        An exponential counts as eight multiply-adds, normalising and summing as one each, sorting n blocks as n log2 n.
        """
        stride = point["stride"]
        tiles = int(block_any(features.valid, stride).sum())
        rows, columns = (-(-n // point["block"]) for n in features.shape[1:])
        return tiles * (stride * features.raw_keys.shape[-1] + 10.0) + rows * columns * columns.bit_length()


def tile_scores(features: Features, stride: int) -> Tensor:
    """Compute the mean score over the valid pairs on each tile's antidiagonal.

    Parameters
    ----------
    features : Features
        Queries, keys and valid pairs.
    stride : int
        Number of positions on each side of a tile.

    Returns
    -------
    Tensor
        ``(heads, ⌈queries / stride⌉, ⌈keys / stride⌉)``, -inf where a tile has no valid pair.
    """
    scale = features.raw_queries.shape[-1] ** -0.5
    queries, keys = (
        _filled(vectors, 1, stride).unflatten(1, (-1, stride)) for vectors in (features.raw_queries, features.raw_keys)
    )
    # position i of a tile's queries meets position stride - 1 - i of its keys, so one product adds up an antidiagonal
    queries = queries.flip(2)
    sums = torch.bmm(queries.flatten(2), keys.flatten(2).transpose(-1, -2))
    scores = sums.mul_(scale / stride)
    whole, some = features.whole_blocks(stride, stride), features.valid_blocks(stride, stride)
    if not whole.all():
        scores.masked_fill_(~some, -torch.inf)
        for tiles in torch.nonzero(some & ~whole).split(TILES_AT_ONCE):
            row, column = tiles.unbind(1)
            scores[:, row, column] = _scores_of_tiles(features, queries, keys, row, column).mul_(scale)
    return scores


def _scores_of_tiles(features: Features, queries: Tensor, keys: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """Return the mean products of valid pairs on the antidiagonals of some tiles, ``(heads, tiles)``.

    Where there is no such pair, it is the mean of all valid pairs of the tile, and -inf where there is none either.

    Parameters
    ----------
    features : Features
        Queries, keys and valid pairs.
    queries, keys : Tensor
        ``(heads, rows or columns of tiles, stride, head_dim)``, the queries of each tile in descending order.
    row, column : Tensor
        int64 ``(tiles,)``.
    """
    stride = queries.shape[2]
    places = torch.arange(stride, device=queries.device)
    of_queries, of_keys = row[:, None] * stride + places.flip(0), column[:, None] * stride + places
    seen = features.valid_at(of_queries, of_keys)
    products = (queries[:, row] * keys[:, column]).sum(-1).masked_fill_(~seen, 0)
    counts = seen.sum(-1)
    scores = products.sum(-1) / counts
    (off,) = torch.nonzero(counts == 0, as_tuple=True)
    if len(off):
        seen = features.valid_at(of_queries[off][:, :, None], of_keys[off][:, None])
        products = (queries[:, row[off]] @ keys[:, column[off]].transpose(-1, -2)).masked_fill_(~seen, 0)
        counts = seen.sum((-1, -2))
        scores[:, off] = (products.sum((-1, -2)) / counts).masked_fill_(counts == 0, -torch.inf)
    return scores


def block_shares(scores: Tensor, tiles: int) -> Tensor:
    """Estimate the share of attention that each pair of blocks holds in its row.

    Parameters
    ----------
    scores : Tensor
        Tile scores, ``(heads, rows of tiles, columns of tiles)``.
    tiles : int
        Number of tiles on each side of a pair of blocks.

    Returns
    -------
    Tensor
        ``(heads, query blocks, key blocks)``; the rows of queries with a valid pair sum to 1.
    """
    weights = scores.softmax(-1)
    blind = scores[0].amax(-1).isneginf()
    if blind.any():
        weights[:, blind] = 0  # softmax is NaN in rows of tiles without a valid pair
    # rows first, because neighbours in memory are added up slowly
    sums = _filled(weights, 1, tiles).unflatten(1, (-1, tiles)).sum(2)
    sums = _filled(sums, 2, tiles).unflatten(2, (-1, tiles)).sum(3)
    return sums / sums.sum(-1, keepdim=True).clamp(min=torch.finfo(sums.dtype).tiny)


def _filled(values: Tensor, axis: int, multiple: int) -> Tensor:
    """Fill an axis up with zeros to a multiple; nothing is copied where there is nothing to fill."""
    lacking = -values.shape[axis] % multiple
    return pad(values, [0, 0] * (values.dim() - 1 - axis) + [0, lacking]) if lacking else values
