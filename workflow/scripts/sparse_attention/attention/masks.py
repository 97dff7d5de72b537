"""Masks of query–key pairs: pairs that attention may use, and pairs that every predicted support keeps."""

from __future__ import annotations

import torch
from torch import Tensor

from sparse_attention.errors import InputError

KEEP = {"none": (), "cls": (0,), "last": (-1,), "cls+last": (0, -1)}
"""For each value of `keep`, the positions of the tokens whose rows and columns are kept."""


def valid_pairs(queries: int, keys: int, causal: bool = False, local_window: int | None = None) -> Tensor:
    """Return the pairs that full attention may use.

    Parameters
    ----------
    queries, keys : int
        Numbers of tokens, without padding.
    causal : bool
        Whether a query sees no later key.
    local_window : int or None
        Largest distance between a query and its keys, inclusive, as in `config.sliding_window` of ModernBERT (half of
        its `local_attention`); None: no limit.

    Returns
    -------
    Tensor
        Bool ``(queries, keys)``.
    """
    distance = _distances(queries, keys)
    valid = torch.ones(queries, keys, dtype=torch.bool)
    if causal:
        valid &= distance <= 0
    if local_window is not None:
        valid &= distance.abs() <= local_window
    return valid


def window_mask(queries: int, keys: int, width: int) -> Tensor:
    """Return the pairs inside a centred window: `width` keys per query, with its own position in the middle.

    The original code's windows of even width are not centred (4 means −1 … +2), so even widths are refused here.

    Parameters
    ----------
    queries, keys : int
        Numbers of tokens.
    width : int
        0 for an empty window, or an odd number.

    Returns
    -------
    Tensor
        Bool ``(queries, keys)``.

    Raises
    ------
    InputError
        When the width is negative, or even and not 0.
    """
    return _distances(queries, keys).abs() <= window_reach(width)


def window_reach(width: int) -> int:
    """Return the largest distance inside a window, −1 for an empty one; raise `InputError` as `window_mask` does."""
    if width < 0 or (width % 2 == 0 and width != 0):
        raise InputError(f"evaluate.windows: {width} is not allowed; allowed: 0 or an odd number")
    return (width - 1) // 2


def keep_mask(queries: int, keys: int, keep: str) -> Tensor:
    """Return the rows and columns of the tokens that attend to all tokens and that all tokens attend to.

    Parameters
    ----------
    queries, keys : int
        Numbers of tokens, without padding. The last token is that of the example. (The original code's
        `add_last_mask` takes the last column of the padded batch.)
    keep : str
        none, cls (row and column of the first token), last (those of the last token) or cls+last (both).

    Returns
    -------
    Tensor
        Bool ``(queries, keys)``.

    Raises
    ------
    InputError
        When `keep` is none of these.
    """
    mask = torch.zeros(queries, keys, dtype=torch.bool)
    for query, key in kept_tokens(queries, keys, keep):
        mask[query, :] = True
        mask[:, key] = True
    return mask


def kept_tokens(queries: int, keys: int, keep: str) -> list[tuple[int, int]]:
    """Return the places, among queries and among keys, of the tokens that `keep_mask` keeps, with its error."""
    if keep not in KEEP:
        raise InputError(f"evaluate.keep: {keep!r} is not allowed; allowed: {', '.join(KEEP)}")
    return [(position % queries, position % keys) for position in KEEP[keep] if queries and keys]


def _distances(queries: int, keys: int) -> Tensor:
    """Return key position minus query position, int32 ``(queries, keys)``."""
    return torch.arange(keys, dtype=torch.int32)[None, :] - torch.arange(queries, dtype=torch.int32)[:, None]
