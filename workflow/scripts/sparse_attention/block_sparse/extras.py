"""Adds a window and kept tokens to block lists, as the evaluation adds them to supports."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from sparse_attention.attention.blocks import crossing_blocks, near_blocks
from sparse_attention.attention.masks import kept_tokens, window_reach
from sparse_attention.block_sparse.lists import BlockLists
from sparse_attention.block_sparse.visible import Visible

if TYPE_CHECKING:
    from sparse_attention.block_sparse.reordering import Reordering


def with_extras(
    lists: BlockLists,
    window: int = 0,
    keep: str = "none",
    order: Reordering | None = None,
    visible: Visible | None = None,
) -> BlockLists:
    """Add the blocks that hold a pair of a window, or of the rows and columns of kept tokens; no pair is looked at.

    Parameters
    ----------
    lists : BlockLists
        The lists.
    window : int
        Number of neighbours of each position, with its own: 0 or odd; see `masks.window_mask`.
    keep : str
        The tokens whose rows and columns are kept, a value of `masks.KEEP`.
    order : Reordering, optional
        The order for which the lists are made; by default that of the tokens. Neighbours are those among the tokens,
        which another order spreads over many blocks.
    visible : Visible, optional
        What each query may see, in the order of the tokens; blocks without any such pair are not added.

    Raises
    ------
    InputError
        When the window is negative, or even and not 0, or there is no such value of `keep`.
    """
    reach, tokens = window_reach(window), kept_tokens(lists.queries, lists.keys, keep)
    if reach < 0 and not tokens:
        return lists
    sizes = lists.query_block, lists.key_block
    added = _in_order(lists, reach, tokens) if order is None else _in_another_order(lists, reach, tokens, order)
    if visible is not None:
        seen = visible if order is None else visible.reordered(order.queries, order.keys)
        added = added & seen.blocks(*sizes)
    return BlockLists.of(lists.blocks() | added, lists.queries, lists.keys, *sizes)


def _in_order(lists: BlockLists, reach: int, tokens: list[tuple[int, int]]) -> Tensor:
    """Return the pairs of blocks to add, bool ``(query_blocks, key_blocks)``."""
    device, sizes = lists.counts.device, (lists.query_block, lists.key_block)
    of_queries, of_keys = (torch.zeros(n, dtype=torch.bool, device=device) for n in (lists.queries, lists.keys))
    for query, key in tokens:
        of_queries[query] = of_keys[key] = True
    near = near_blocks(lists.queries, lists.keys, *sizes, reach, device)
    return near | crossing_blocks(of_queries, of_keys, *sizes)


def _in_another_order(lists: BlockLists, reach: int, tokens: list[tuple[int, int]], order: Reordering) -> Tensor:
    """Return the pairs of blocks to add, bool ``(batch, heads, query_blocks, key_blocks)``."""
    rows = order.queries.argsort(-1) // lists.query_block
    columns = order.keys.argsort(-1) // lists.key_block
    added = torch.zeros(*rows.shape[:2], lists.query_blocks, lists.key_blocks, dtype=torch.bool, device=rows.device)
    cells = added.flatten(2)
    for distance in range(-reach, reach + 1):
        first, last = max(0, -distance), min(lists.queries, lists.keys - distance)
        if first < last:
            near = rows[..., first:last] * lists.key_blocks + columns[..., first + distance : last + distance]
            cells.scatter_(-1, near, True)
    for query, key in tokens:
        added.scatter_(-2, rows[..., query, None, None].expand(-1, -1, 1, lists.key_blocks), True)
        added.scatter_(-1, columns[..., key, None, None].expand(-1, -1, lists.query_blocks, 1), True)
    return added
