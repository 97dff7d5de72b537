"""The one way in: attention over block lists, by the fastest kernel that there is for the device."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from sparse_attention.block_sparse.cpu.build import describe, library
from sparse_attention.block_sparse.cpu.call import CPUAttention
from sparse_attention.block_sparse.lists import BlockLists
from sparse_attention.block_sparse.reference import attend_plainly
from sparse_attention.block_sparse.visible import Visible

KERNELS = ("auto", "reference")
_chosen = "auto"


class Attended(NamedTuple):
    """What attention gives.

    Attributes
    ----------
    output : Tensor
        ``(batch, heads, queries, value_dim)``; zeros for a query without any key.
    thresholds : Tensor
        ``(batch, heads, queries)``, without gradient: for entmax the threshold of the scores times ``alpha - 1``, for
        softmax the logarithm of the norm, for a query without any key infinity.
    """

    output: Tensor
    thresholds: Tensor


def use_kernels(kernels: str, device: str = "cpu") -> dict[str, str]:
    """Choose the kernels of this process for calls that do not choose, and say what they are.

    Parameters
    ----------
    kernels : str
        One of `KERNELS`.
    device : str
        The device that float32 tensors will be on.

    Returns
    -------
    dict of str
        `kernel`, see `kernel_for`; of a compiled one also `compiler` and `flags`.

    Raises
    ------
    ValueError
        When there are no such kernels.
    """
    global _chosen
    if kernels not in KERNELS:
        raise ValueError(f"kernels: {kernels!r}; allowed: {', '.join(KERNELS)}")
    _chosen = kernels
    kernel = kernel_for(torch.device(device).type, torch.float32)
    return {"kernel": kernel, **(describe() if kernel == "cpu" else {})}


def kernel_for(device: str, dtype: torch.dtype, kernels: str | None = None) -> str:
    """Return which kernel `attend` uses for tensors on a device: ``cpu``, or ``reference``."""
    compiled = (kernels or _chosen) == "auto" and device == "cpu" and dtype != torch.float64
    return "cpu" if compiled and library() is not None else "reference"


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    lists: BlockLists | None = None,
    alpha: float = 1.5,
    visible: Visible | None = None,
    scaling: float | None = None,
    kernels: str | None = None,
) -> Attended:
    """Attend to the keys in the kept blocks that each query may see.

    Parameters
    ----------
    query : Tensor
        ``(batch, heads, queries, head_dim)``, float32, bfloat16, float16 or float64; not yet scaled.
    key, value : Tensor
        ``(batch, groups, keys, head_dim)`` and ``(batch, groups, keys, value_dim)``; ``heads / groups`` neighbouring
        heads of queries share one head of keys and values.
    lists : BlockLists, optional
        The kept blocks; by default all.
    alpha : float
        In [1, 2]: 1 is softmax, above it is entmax, 2 is sparsemax.
    visible : Visible, optional
        What each query may see; by default everything.
    scaling : float, optional
        Of the scores; by default ``head_dim ** -0.5``.
    kernels : str, optional
        ``auto``: compiled where that is possible; ``reference``: PyTorch's operations, which hold all scores. The
        default is what `use_kernels` chose, at first ``auto``.

    Raises
    ------
    ValueError
        When an argument is out of range or shapes do not go together.
    """
    _check(query, key, value, lists, alpha, kernels)
    scaling = query.shape[-1] ** -0.5 if scaling is None else scaling
    if visible is None:
        visible = Visible.everything(query.shape[0], query.shape[2], key.shape[2], device=str(query.device))
    given = query, key, value, visible, lists, alpha, scaling
    if kernel_for(query.device.type, query.dtype, kernels) == "reference":
        return Attended(*attend_plainly(*given))
    return Attended(*CPUAttention.apply(library(), *given))


def _check(
    query: Tensor, key: Tensor, value: Tensor, lists: BlockLists | None, alpha: float, kernels: str | None
) -> None:
    if not 1 <= alpha <= 2:
        raise ValueError(f"alpha: {alpha}; allowed: from 1 (softmax) to 2 (sparsemax)")
    if kernels not in (*KERNELS, None):
        raise ValueError(f"kernels: {kernels!r}; allowed: {', '.join(KERNELS)}")
    (batch, heads, queries, dim), (groups, keys) = query.shape, key.shape[1:3]
    if key.shape != (batch, groups, keys, dim) or value.shape[:3] != key.shape[:3] or heads % groups:
        shapes = ", ".join(str(tuple(tensor.shape)) for tensor in (query, key, value))
        raise ValueError(f"query, key and value are {shapes}; allowed: equal batch and head_dim, heads in equal groups")
    if lists is None:
        return
    own = lists.counts.shape[:2]
    if (lists.queries, lists.keys) != (queries, keys) or own[0] not in (1, batch) or own[1] not in (1, heads):
        raise ValueError(
            f"lists of {tuple(own)} batches and heads, {lists.queries} queries and {lists.keys} keys do not go with "
            f"{batch} batches, {heads} heads, {queries} queries and {keys} keys"
        )
