"""Compiled searches find what PyTorch's operations find, also among equal ones."""

from __future__ import annotations

import pytest
import torch

from sparse_attention.block_sparse import dispatch
from sparse_attention.block_sparse.cpu import build
from sparse_attention.clusters.centroids import Centroids, squared_distances
from sparse_attention.errors import InputError
from sparse_attention.predictors.hashing import nearest_directions

NEEDS_COMPILER = pytest.mark.skipif(build.find_compiler() is None, reason="needs a C++ compiler")
# heads, vectors, runs, clusters, dim
SHAPES = {
    "many": (3, 700, 1, 40, 4),
    "several runs": (2, 37, 3, 7, 5),
    "one vector": (1, 1, 1, 2, 1),
    "one cluster": (2, 9, 2, 1, 3),
    "wide": (2, 17, 1, 9, 64),
}
EACH = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)


def draws(*shape, rounded=0.5, seed=0):
    """Normal numbers; of a share of the vectors all are whole, so that many distances are equal."""
    draw = torch.Generator().manual_seed(seed)
    numbers = torch.randn(shape, generator=draw)
    return torch.where(torch.rand(*shape[:-1], 1, generator=draw) < rounded, numbers.round(), numbers)


@NEEDS_COMPILER
@EACH
@pytest.mark.parametrize("top", [1, 2, "all"])
@pytest.mark.parametrize("scale", [1.0, 1e-20, 1e20], ids=["usual", "tiny", "huge"])
def test_nearest_centroids_are_those_of_a_stable_sort(shape, top, scale):
    heads, count, runs, clusters, dim = shape
    vectors = draws(heads, count, dim) * scale
    given = draws(heads, runs, clusters, dim, seed=1).double() * scale
    given[:, :, clusters // 2] = given[:, :, 0]
    number = clusters if top == "all" else min(top, clusters)
    assert dispatch.kernel_for("cpu", torch.float32) == "cpu"
    found = Centroids((given,)).assign(0, vectors, number)
    expected = squared_distances(vectors, given).argsort(dim=-1, stable=True)[..., :number]
    assert torch.equal(found, expected)


@NEEDS_COMPILER
@EACH
def test_threads_and_strides_change_nothing(shape):
    heads, count, runs, clusters, dim = shape
    vectors, given = draws(heads, dim, count).mT, draws(heads, runs, dim, clusters).double().mT
    expected = Centroids((given,)).assign(0, vectors.contiguous())
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        assert torch.equal(Centroids((given,)).assign(0, vectors), expected)
    finally:
        torch.set_num_threads(threads)


def test_more_centroids_than_there_are_is_refused():
    with pytest.raises(InputError, match=r"top: 3; allowed: 1 to the 2"):
        Centroids((draws(1, 1, 2, 3).double(),)).assign(0, draws(1, 4, 3), 3)


@EACH
@pytest.mark.parametrize("kernels", ["auto", "reference"])
def test_nearest_directions_are_the_first_of_the_highest_products(shape, kernels, monkeypatch):
    heads, count, rounds, half, dim = shape
    monkeypatch.setattr(dispatch, "_chosen", kernels)
    vectors, rotations = draws(heads, count, dim), draws(heads, rounds, half, dim, rounded=1.0, seed=1)
    vectors[:, ::5] = 0
    found = nearest_directions(vectors, rotations)
    products = torch.einsum("hnd,hrcd->hnrc", vectors, rotations)
    both = torch.cat([products, -products], -1)
    assert found.shape == (heads, count, rounds) and found.dtype == torch.int64
    reached = both.gather(-1, found[..., None])
    torch.testing.assert_close(reached, both.amax(-1, keepdim=True))
    whole = (vectors == vectors.round()).all(-1)  # their products are exact
    assert torch.equal(found[whole], both.argmax(-1)[whole])
