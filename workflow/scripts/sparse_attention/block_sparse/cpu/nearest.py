"""Calls the compiled searches for the nearest centroids and directions, on finite tensors on the CPU."""

from __future__ import annotations

import ctypes
import math

import torch
from torch import Tensor

from sparse_attention.block_sparse.cpu.build import library

TENSORS = ("vectors", "centroids", "nearest")
SIZES = ("heads", "count", "runs", "clusters", "dim", "top")


class _Assignment(ctypes.Structure):
    """`Assignment` of nearest.cpp."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in TENSORS),
        *((name, ctypes.c_int64) for name in SIZES),
        ("threads", ctypes.c_int32),
    )


def nearest_centroids(vectors: Tensor, centroids: Tensor, top: int) -> Tensor:
    """Find the nearest centroids of each vector by distances in float64, of equally near ones the lowest number first.

    Parameters
    ----------
    vectors : Tensor
        float32 ``(heads, n, dim)``.
    centroids : Tensor
        float64 ``(heads, runs, clusters, dim)``.
    top : int
        Number of centroids per vector, from 1 to `clusters`.

    Returns
    -------
    Tensor
        int64 ``(heads, runs, n, top)``, the nearest first.
    """
    (heads, count, dim), (runs, clusters) = vectors.shape, centroids.shape[1:3]
    nearest = torch.empty(heads, runs, count, top, dtype=torch.int64)
    held = vectors.contiguous(), centroids.contiguous(), nearest
    pointers = {name: tensor.data_ptr() for name, tensor in zip(TENSORS, held, strict=True)}
    sizes = dict(zip(SIZES, (heads, count, runs, clusters, dim, top), strict=True))
    _kernels().assign(ctypes.byref(_Assignment(**pointers, **sizes, threads=torch.get_num_threads())))
    return nearest


def nearest_directions(products: Tensor) -> Tensor:
    """Find for each vector the direction of its highest product, among directions and their opposites.

    Parameters
    ----------
    products : Tensor
        float32 ``(…, half, n)``: products of `n` vectors with directions.

    Returns
    -------
    Tensor
        int64 ``(…, n)``: the number of a direction, `half` more for its opposite; of equal products the lowest number.
    """
    products, (*others, half, count) = products.contiguous(), products.shape
    nearest = torch.empty(*others, count, dtype=torch.int64)
    tensors = (ctypes.c_void_p(tensor.data_ptr()) for tensor in (products, nearest))
    sizes = map(ctypes.c_int64, (math.prod(others), half, count))
    _kernels().nearest_directions(*tensors, *sizes, ctypes.c_int32(torch.get_num_threads()))
    return nearest


def _kernels() -> ctypes.CDLL:
    kernels = library()
    if kernels is None:
        raise RuntimeError("kernels are not compiled; allowed: calls where `dispatch.kernel_for` returns `cpu`")
    return kernels
