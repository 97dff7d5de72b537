"""Which query–key pairs may be attended to, and which are kept whatever a predictor says."""

from __future__ import annotations

import torch
from torch import Tensor

from sparse_attention.errors import InputError

KEEP = {"none": (), "cls": (0,), "last": (-1,), "cls+last": (0, -1)}
"""Positions of the tokens that each choice keeps."""


def valid_pairs(queries: int, keys: int, causal: bool = False, local_window: int | None = None) -> Tensor:
    """Return the pairs that full attention may use.

    Parameters
    ----------
    queries, keys : int
        Numbers of real tokens; padding has no place here.
    causal : bool
        A query sees no later key.
    local_window : int or None
        Greatest distance between a query and its keys, inclusive, as in `config.sliding_window` of a ModernBERT
        (half of its `local_attention`); None: no limit.

    Returns
    -------
    Tensor
        Boolean (queries, keys).
    """
    distance = _distances(queries, keys)
    valid = torch.ones(queries, keys, dtype=torch.bool)
    if causal:
        valid &= distance <= 0
    if local_window is not None:
        valid &= distance.abs() <= local_window
    return valid


def window_mask(queries: int, keys: int, width: int) -> Tensor:
    """Return the pairs inside a centred window: `width` keys a query, its own position in the middle; 0 for none.

    The originals' even widths are not centred (4 means −1 … +2), so they are refused here.

    Returns
    -------
    Tensor
        Boolean (queries, keys).
    """
    if width < 0 or (width % 2 == 0 and width != 0):
        raise InputError(f"evaluate.windows: {width} cannot be centred; allowed: 0 or an odd number")
    return _distances(queries, keys).abs() <= (width - 1) // 2


def keep_mask(queries: int, keys: int, keep: str) -> Tensor:
    """Return the pairs of the tokens that attend to, and are attended by, everything.

    Parameters
    ----------
    queries, keys : int
        Numbers of real tokens: the last one is an example's own last token. (The originals' `add_last_mask` takes the
        last column of the padded batch.)
    keep : str
        none, cls (row and column of the first token), last (those of the last token) or cls+last (both).

    Returns
    -------
    Tensor
        Boolean (queries, keys).
    """
    if keep not in KEEP:
        raise InputError(f"evaluate.keep: {keep!r} is not known; allowed: {', '.join(KEEP)}")
    mask = torch.zeros(queries, keys, dtype=torch.bool)
    for position in KEEP[keep]:
        if queries and keys:
            mask[position, :] = True
            mask[:, position] = True
    return mask


def _distances(queries: int, keys: int) -> Tensor:
    """Return key position minus query position, int32 (queries, keys)."""
    return torch.arange(keys, dtype=torch.int32)[None, :] - torch.arange(queries, dtype=torch.int32)[:, None]
