"""Cut the keys of an example into pages of consecutive keys, and summarise each page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from sparse_attention.attention.blocks import regrouped
from sparse_attention.block_sparse.visible import HIDDEN
from sparse_attention.predictors.features import Features


@dataclass(frozen=True)
class Pages:
    """The keys of an example in pages of equal size, and the keys of each page that each query may attend to.

    Attributes
    ----------
    keys : Tensor
        ``(heads, pages, size, head_dim)``, zeros behind the last key.
    real : Tensor
        Bool ``(pages, size)``: True for keys, False behind the last key.
    seen : Tensor
        int64 ``(queries, pages)``: number of keys of the page that the query may attend to.
    partial : tuple of Tensor
        Indices of queries and of pages, int64 ``(pairs,)`` each, where the query may attend to a part of the page.
    visible : Tensor
        Bool ``(pairs, size)``: the keys of that part, for each of these pairs.
    """

    keys: Tensor
    real: Tensor
    seen: Tensor
    partial: tuple[Tensor, Tensor]
    visible: Tensor

    @classmethod
    def of(cls, features: Features, size: int) -> Pages:
        """Cut the keys into pages of `size` keys; the last page may be shorter."""
        keys = pad(features.raw_keys, (0, 0, 0, -features.shape[2] % size)).unflatten(1, (-1, size))
        places = torch.arange(keys.shape[1] * size, device=keys.device).view(-1, size)
        real, seen = places < features.shape[2], keys_seen(features, size)
        rows, columns = torch.nonzero((seen > 0) & (seen < real.sum(-1)), as_tuple=True)
        return cls(keys, real, seen, (rows, columns), features.valid_at(rows[:, None], places[columns]))

    def products(self, queries: Tensor, summarise: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        """Compute the products of queries with the summaries of the keys that each query may attend to.

        The summary of a whole page is used for all queries that may attend to all of it. Where a query may attend to a
        part of a page, as under a causal mask in the page of its position, that part is summarised for this query.

        Parameters
        ----------
        queries : Tensor
            ``(heads, queries, summary)``.
        summarise : callable
            Function of keys ``(heads, …, size, head_dim)`` and a mask of those that count, bool ``(…, size)``; returns
            ``(heads, …, summary)``.

        Returns
        -------
        Tensor
            ``(heads, queries, pages)``; undefined where a query may attend to no key of a page.
        """
        result = queries @ summarise(self.keys, self.real).transpose(-1, -2)
        rows, columns = self.partial
        if len(rows):
            own = summarise(self.keys[:, columns], self.visible)
            result[:, rows, columns] = (queries[:, rows] * own).sum(-1)
        return result


def keys_seen(features: Features, size: int) -> Tensor:
    """Count the keys of each page that each query may attend to, int64 ``(queries, pages)``."""
    if isinstance(features.pairs, Tensor):
        return pad(features.pairs, (0, -features.shape[2] % size)).unflatten(1, (-1, size)).sum(-1)
    first, last, position = (x[0, 0] for x in (features.pairs.first, features.pairs.last, features.pairs.position))
    nowhere = torch.iinfo(position.dtype).max
    position = pad(position.masked_fill(position == HIDDEN, nowhere), (0, -len(position) % size), value=nowhere)
    pages = position.view(-1, size).sort(-1).values
    bounds = (bound.expand(len(pages), -1).contiguous() for bound in (last, first))
    up_to_last, before_first = (
        torch.searchsorted(pages, bound, right=right) for bound, right in zip(bounds, (True, False), strict=True)
    )
    return (up_to_last - before_first).clamp(min=0).T.contiguous()


def levels_of_keys(levels: Tensor, page: int, keys: int) -> Tensor:
    """Expand levels of pages ``(heads, queries, pages)`` to levels of keys ``(heads, queries, keys)``."""
    return levels.repeat_interleave(page, dim=-1)[..., :keys]


def blocks_of_pages(kept: Tensor, features: Features, page: int, query_block: int, key_block: int) -> Tensor:
    """Return the pairs of blocks with a kept page of one of their queries.

    Parameters
    ----------
    kept : Tensor
        Bool ``(heads, queries, pages)``.
    features : Features
        Queries and keys.
    page, query_block, key_block : int
        Tokens per page, and per block.

    Returns
    -------
    Tensor
        Bool ``(heads, query blocks, key blocks)``.
    """
    _, queries, keys = features.shape
    return regrouped(regrouped(kept, 1, queries, 1, query_block), 2, keys, page, key_block)


def extremes(keys: Tensor, counted: Tensor) -> Tensor:
    """Return the highest and the lowest value of each channel, concatenated: ``(heads, …, 2 · head_dim)``."""
    left_out = ~counted[..., None]
    return torch.cat(
        [keys.masked_fill(left_out, -torch.inf).amax(-2), keys.masked_fill(left_out, torch.inf).amin(-2)], dim=-1
    )


def means(keys: Tensor, counted: Tensor) -> Tensor:
    """Return the mean of each channel, ``(heads, …, head_dim)``."""
    weights = counted[..., None].to(keys.dtype)
    return (keys * weights).sum(-2) / weights.sum(-2)


def variances(keys: Tensor, counted: Tensor) -> Tensor:
    """Return the variance of each channel, ``(heads, …, head_dim)``."""
    return means((keys - means(keys, counted)[..., None, :]).square(), counted)
