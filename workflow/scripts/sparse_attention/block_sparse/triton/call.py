"""Calls the kernels on tensors, with their gradients."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from sparse_attention.block_sparse.lists import BlockLists
from sparse_attention.block_sparse.triton.backward import attend_backward
from sparse_attention.block_sparse.triton.forward import Forward, attend_forward
from sparse_attention.block_sparse.triton.problem import Problem
from sparse_attention.block_sparse.triton.walks import QueryWalk
from sparse_attention.block_sparse.visible import Visible


def attend_by_triton(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    visible: Visible | None,
    lists: BlockLists | None,
    alpha: float,
    scaling: float,
) -> tuple[Tensor, Tensor]:
    """Return the output and the thresholds, as `dispatch.attend` says.

    Products of float32 are exact to about the rounding of float32, unless torch allows TF32. Other dtypes are
    multiplied as they are and added up in float32; where queries, keys and values differ, all are taken as float32.
    """
    differentiable = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in (query, key, value))
    output: tuple[Tensor, Tensor] = _TritonAttention.apply(
        query, key, value, visible, lists, alpha, scaling, differentiable
    )
    return output


class _TritonAttention(torch.autograd.Function):
    """The kernels and their gradients."""

    @staticmethod
    def forward(
        ctx: Any,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        visible: Visible | None,
        lists: BlockLists | None,
        alpha: float,
        scaling: float,
        differentiable: bool,
    ) -> tuple[Tensor, Tensor]:
        given = query, key, value
        common = query.dtype if len({tensor.dtype for tensor in given}) == 1 else torch.float32
        tensors = queries, keys, values = [tensor.detach().to(common).contiguous() for tensor in given]
        walk = QueryWalk.of(lists, visible, query.shape[2], key.shape[2], query.device)
        problem = Problem(queries, keys, values, visible, walk, alpha, scaling)
        with torch.cuda.device_of(query):
            result = attend_forward(problem, differentiable)
        if differentiable:
            ctx.save_for_backward(*tensors, result.thresholds, result.average)
            ctx.rest, ctx.live = (visible, walk, alpha, scaling), result.live
            ctx.dtypes = [tensor.dtype for tensor in given]
        ctx.mark_non_differentiable(result.thresholds)
        return result.output.to(query.dtype), result.thresholds

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, thresholds, average = ctx.saved_tensors
        visible, walk, alpha, scaling = ctx.rest
        if ctx.live is not None:
            walk = walk.only(ctx.live)
        problem = Problem(query, key, value, visible, walk, alpha, scaling)
        given = gradients[0].to(query.dtype).contiguous()
        with torch.cuda.device_of(query):
            results = attend_backward(problem, Forward(average, thresholds, average, None), given)
        cast = [result.to(dtype) for result, dtype in zip(results, ctx.dtypes, strict=True)]
        return (*cast, None, None, None, None, None)
