"""The one way in: attention over block lists, by the fastest kernel that there is for the device."""

from __future__ import annotations

import functools
from importlib.util import find_spec
from typing import NamedTuple

import torch
from torch import Tensor

from sparse_attention.block_sparse.cpu.build import describe, library
from sparse_attention.block_sparse.cpu.call import CPUAttention
from sparse_attention.block_sparse.lists import BlockLists
from sparse_attention.block_sparse.reference import attend_plainly
from sparse_attention.block_sparse.reordering import Reordering, take
from sparse_attention.block_sparse.visible import Visible
from sparse_attention.jobs.log import logger

KERNELS = ("auto", "reference")
WIDEST_ON_GPU = 256
"""Most numbers of a query, key or value that the kernels for GPUs take."""
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
        `kernel`, see `kernel_for`; of one in C++ also `compiler` and `flags`, of those for GPUs `triton` and `gpu`.

    Raises
    ------
    ValueError
        When there are no such kernels.
    """
    global _chosen
    if kernels not in KERNELS:
        raise ValueError(f"kernels: {kernels!r}; allowed: {', '.join(KERNELS)}")
    _chosen = kernels
    kernel = kernel_for(device, torch.float32)
    described = {"kernel": kernel}
    if kernel == "cpu":
        described |= describe()
    if kernel == "triton":
        import triton

        described |= {"triton": triton.__version__, "gpu": torch.cuda.get_device_name(torch.device(device))}
    return described


def kernel_for(device: str, dtype: torch.dtype, kernels: str | None = None, dim: int = 0) -> str:
    """Return which kernel `attend` uses for tensors on a device: ``cpu``, ``triton`` or ``reference``.

    Parameters
    ----------
    device : str
        Such as ``cpu`` or ``cuda:0``.
    dtype : dtype
    kernels : str, optional
        See `attend`.
    dim : int
        Numbers of a query or of a value, whichever has more.
    """
    if (kernels or _chosen) == "reference":
        return "reference"
    if dtype == torch.float64:
        _say_once("float64: attention is computed by PyTorch's operations, which is slower")
        return "reference"
    if torch.device(device).type == "cpu":
        return "cpu" if library() is not None else "reference"
    lacking = _lacking_for_triton(device)
    if lacking is None and dim > WIDEST_ON_GPU:
        lacking = f"the kernels take heads of up to {WIDEST_ON_GPU} dims, not {dim}"
    if lacking is None:
        return "triton"
    _say_once(f"{lacking}, so attention is computed by PyTorch's operations, which is slower")
    return "reference"


@functools.cache
def _lacking_for_triton(device: str) -> str | None:
    """Return what keeps the Triton kernels from running on a device, or None."""
    if torch.device(device).type != "cuda" or torch.version.hip is not None:
        return f"{device}: there are kernels for NVIDIA GPUs and for CPUs only"
    if torch.cuda.get_device_capability(device) < (8, 0):
        return f"{torch.cuda.get_device_name(device)}: the kernels need compute capability 8.0"
    return "Triton is not installed" if find_spec("triton") is None else None


@functools.cache
def _say_once(message: str) -> None:
    logger.info("%s", message)


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    lists: BlockLists | None = None,
    alpha: float = 1.5,
    visible: Visible | None = None,
    scaling: float | None = None,
    kernels: str | None = None,
    order: Reordering | None = None,
) -> Attended:
    """Attend to the keys in the kept blocks that each query may see.

    Arguments and results are in the order of the tokens, also when the lists are made for another one.

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
    order : Reordering, optional
        The order of queries and keys for which the lists are made; by default that of the tokens.

    Raises
    ------
    ValueError
        When an argument is out of range or shapes do not go together.
    """
    _check(query, key, value, lists, alpha, kernels, order)
    scaling = query.shape[-1] ** -0.5 if scaling is None else scaling
    kernel = kernel_for(str(query.device), query.dtype, kernels, max(query.shape[-1], value.shape[-1]))
    if order is not None and kernel != "cpu":
        return _attend_in_order(order, query, key, value, lists, alpha, visible, scaling, kernels)
    if kernel == "triton":
        from sparse_attention.block_sparse.triton.call import attend_by_triton  # Triton is not installed everywhere

        return Attended(*attend_by_triton(query, key, value, visible, lists, alpha, scaling))
    if visible is None:
        visible = Visible.everything(query.shape[0], query.shape[2], key.shape[2], device=str(query.device))
    given = query, key, value, visible, lists, alpha, scaling
    if kernel == "reference":
        return Attended(*attend_plainly(*given))
    return Attended(*CPUAttention.apply(library(), *given, order))


def _attend_in_order(
    order: Reordering,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    lists: BlockLists | None,
    alpha: float,
    visible: Visible | None,
    scaling: float,
    kernels: str | None,
) -> Attended:
    """Reorder queries, keys and values, attend, and undo it: for kernels that do not read through an order."""
    if visible is None:
        visible = Visible.everything(query.shape[0], query.shape[2], key.shape[2], device=str(query.device))
    seen = visible.reordered(*(places.expand(len(query), -1, -1) for places in (order.queries, order.keys)))
    output, thresholds = attend(*order.apply(query, key, value), lists, alpha, seen, scaling, kernels)
    back = order.queries.argsort(-1).expand_as(thresholds)
    return Attended(take(output, back), thresholds.gather(-1, back))


def _check(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    lists: BlockLists | None,
    alpha: float,
    kernels: str | None,
    order: Reordering | None,
) -> None:
    if not 1 <= alpha <= 2:
        raise ValueError(f"alpha: {alpha}; allowed: from 1 (softmax) to 2 (sparsemax)")
    if kernels not in (*KERNELS, None):
        raise ValueError(f"kernels: {kernels!r}; allowed: {', '.join(KERNELS)}")
    (batch, heads, queries, dim), (groups, keys) = query.shape, key.shape[1:3]
    if key.shape != (batch, groups, keys, dim) or value.shape[:3] != key.shape[:3] or heads % groups:
        shapes = ", ".join(str(tuple(tensor.shape)) for tensor in (query, key, value))
        raise ValueError(f"query, key and value are {shapes}; allowed: equal batch and head_dim, heads in equal groups")
    for name, of, count in () if order is None else (("queries", order.queries, queries), ("keys", order.keys, keys)):
        if of.shape[0] not in (1, batch) or of.shape[1:] != (heads, count):
            raise ValueError(f"order of {name}: {tuple(of.shape)}; allowed: {(batch, heads, count)}, or a batch of 1")
    if lists is None:
        return
    own = lists.counts.shape[:2]
    if (lists.queries, lists.keys) != (queries, keys) or own[0] not in (1, batch) or own[1] not in (1, heads):
        raise ValueError(
            f"lists of {tuple(own)} batches and heads, {lists.queries} queries and {lists.keys} keys do not go with "
            f"{batch} batches, {heads} heads, {queries} queries and {keys} keys"
        )
