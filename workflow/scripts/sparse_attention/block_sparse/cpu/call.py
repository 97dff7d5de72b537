"""Calls the compiled kernel on tensors, with their gradients."""

from __future__ import annotations

import ctypes
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from sparse_attention.block_sparse.lists import MULTIPLE, BlockLists
from sparse_attention.block_sparse.reordering import Reordering
from sparse_attention.block_sparse.visible import Visible

QUERY_BLOCK = 64
"""Queries that are worked on together where no lists say so."""


TENSORS = ("query", "key", "value")
INDEX_TENSORS = ("counts", "indices", "first", "last", "position", "query_order", "key_order")
SIZES = (
    "batch", "heads", "groups", "seen", "queries", "keys", "dim", "value_dim",
    "query_block", "key_block", "width", "list_batch", "list_head", "order_batch",
)  # fmt: skip


class _Problem(ctypes.Structure):
    """`Problem` of problem.h."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in (*TENSORS, *INDEX_TENSORS)),
        *((name, ctypes.c_int64) for name in SIZES),
        *((name, ctypes.c_float) for name in ("scale", "alpha")),
        ("threads", ctypes.c_int32),
    )


class CPUAttention(torch.autograd.Function):
    """The kernel; it computes in float32, whatever the dtype of its arguments."""

    @staticmethod
    def forward(
        ctx: Any,
        library: ctypes.CDLL,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        visible: Visible,
        lists: BlockLists | None,
        alpha: float,
        scaling: float,
        order: Reordering | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return the output and the thresholds, as `dispatch.attend` says."""
        queries, keys, values = (tensor.detach().float().contiguous() for tensor in (query, key, value))
        output = queries.new_empty((*query.shape[:3], value.shape[-1]))
        thresholds = queries.new_empty(query.shape[:3])
        problem, held = _problem(queries, keys, values, visible, lists, alpha, scaling, order)
        library.attend(ctypes.byref(problem), *map(_pointer, (output, thresholds)))
        del held
        ctx.save_for_backward(queries, keys, values, output, thresholds)
        ctx.library, ctx.rest = library, (visible, lists, alpha, scaling, order)
        ctx.dtypes = [tensor.dtype for tensor in (query, key, value)]
        ctx.mark_non_differentiable(thresholds)
        return output.to(query.dtype), thresholds

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of query, key and value."""
        query, key, value, output, thresholds = ctx.saved_tensors
        given = gradients[0].float().contiguous()
        results = [torch.zeros_like(tensor) for tensor in (query, key, value)]
        problem, held = _problem(query, key, value, *ctx.rest)
        ctx.library.attend_backward(ctypes.byref(problem), *map(_pointer, (output, thresholds, given, *results)))
        del held
        cast = [result.to(dtype) for result, dtype in zip(results, ctx.dtypes, strict=True)]
        return (None, *cast, None, None, None, None, None)


def _pointer(tensor: Tensor) -> ctypes.c_void_p:
    return ctypes.c_void_p(tensor.data_ptr())


def _problem(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    visible: Visible,
    lists: BlockLists | None,
    alpha: float,
    scaling: float,
    order: Reordering | None = None,
) -> tuple[_Problem, list[Tensor]]:
    """Return the problem, and the tensors that must stay alive while it is used."""
    (batch, heads, queries, dim), (_, groups, keys, value_dim) = query.shape, value.shape
    bounds = (visible.first, visible.last, visible.position)
    seen = max(bound.shape[1] for bound in bounds)
    held = [bound.expand(batch, seen, -1).contiguous() for bound in bounds]
    problem = _Problem(
        query=query.data_ptr(), key=key.data_ptr(), value=value.data_ptr(),
        first=held[0].data_ptr(), last=held[1].data_ptr(), position=held[2].data_ptr(),
        batch=batch, heads=heads, groups=groups, seen=seen, queries=queries, keys=keys, dim=dim, value_dim=value_dim,
        query_block=QUERY_BLOCK, key_block=MULTIPLE, scale=scaling, alpha=alpha, threads=torch.get_num_threads(),
    )  # fmt: skip
    if lists is not None:
        held += [lists.counts.contiguous(), lists.indices.contiguous()]
        problem.counts, problem.indices = held[-2].data_ptr(), held[-1].data_ptr()
        problem.query_block, problem.key_block = lists.query_block, lists.key_block
        problem.width = lists.indices.shape[-1]
        own_batch, own_heads = (size > 1 for size in lists.counts.shape[:2])
        problem.list_batch = lists.counts.shape[1] if own_batch else 0
        problem.list_head = 1 if own_heads else 0
    if order is not None:
        held += [order.queries.contiguous(), order.keys.contiguous()]
        problem.query_order, problem.key_order = held[-2].data_ptr(), held[-1].data_ptr()
        problem.order_batch = int(len(order.queries) > 1)
    return problem, held
