"""Upper bounds on scores hold, also where numbers are extreme."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sparse_attention.block_sparse.bounds import Basis, Bounds

SCALES = {
    "plain": (1.0, 1.0), "large": (1e12, 1e15), "tiny": (1e-30, 1e-20), "denormal": (1e-43, 1e-43),
    "uneven": (1e-20, 1e25),
}  # fmt: skip


def draws(name, dim=12, queries=37, keys=53, seed=0):
    """Return queries and keys, some of them far from the others, some equal, some zero."""
    draw = torch.Generator().manual_seed(seed)
    query, key = (torch.randn(2, 3, n, dim, generator=draw) for n in (queries, keys))
    key[:, :, 5] *= 100
    key[:, 1] += 30 * torch.randn(dim, generator=draw)
    query[:, 2] = query[:, 2, :1]
    key[1, :, 20:40] = 0
    query[:, :, 7, 3] *= 1e4
    one, other = SCALES[name]
    return (query * one).double(), (key * other).double()


def exact(query, key):
    """Return all products in extended precision."""
    long = [tensor.numpy().astype(np.longdouble) for tensor in (query, key)]
    return np.einsum("bhqd,bhkd->bhqk", *long)


def bounds_of(query, key, key_block=16):
    real = torch.rand(2, 1, key.shape[2], generator=torch.Generator().manual_seed(1)) < 0.8
    real[:, :, :key_block] = False  # a block without any key
    return Bounds(query, key, real, 8, key_block), real


@pytest.mark.parametrize("name", SCALES)
def test_bounds_of_blocks_hold(name):
    query, key = draws(name)
    bounds, real = bounds_of(query, key)
    products = np.where(real.numpy()[:, :, None], exact(query, key), -np.inf)
    highest = np.pad(products, ((0, 0),) * 3 + ((0, 11),), constant_values=-np.inf).reshape(2, 3, 37, 4, 16).max(-1)
    found = bounds.of_blocks(slice(None)) + bounds.error()[..., None]
    assert (found.flatten(2, 3)[:, :, :37].numpy() >= highest)[..., 1:].all()


@pytest.mark.parametrize("rank", [0, 4, 12, None])
@pytest.mark.parametrize("name", SCALES)
def test_bounds_of_pairs_hold(name, rank):
    query, key = draws(name)
    bounds, real = bounds_of(query, key)
    places = torch.where(torch.ones(2, 3, 4, 3, dtype=torch.bool))  # but for the last blocks, which are filled up
    found = bounds.of_pairs(places, rank) + bounds.error()[places[:3]][..., None]
    blocks = exact(query, key)[:, :, :32, :48].reshape(2, 3, 4, 8, 3, 16).transpose(0, 1, 2, 4, 3, 5).reshape(-1, 8, 16)
    counted = real[:, 0, :48].unflatten(1, (3, 16))[places[0], places[3]][:, None].numpy()
    assert ((found.numpy() >= blocks) | ~counted).all()


def test_bounds_of_parts_are_those_of_the_whole():
    bounds, _ = bounds_of(*draws("plain"))
    whole = bounds.of_blocks(slice(None))
    torch.testing.assert_close(bounds.of_blocks(slice(2, 4)), whole[:, :, 2:4], rtol=1e-12, atol=0)


def test_bounds_are_tight_where_keys_of_a_block_are_equal():
    query, key = draws("plain")
    key = key[:, :, :4].repeat_interleave(16, 2)
    bounds = Bounds(query, key, torch.ones(2, 1, 64, dtype=torch.bool), 8, 16)
    found = bounds.of_blocks(slice(None)).flatten(2, 3)[:, :, :37]
    torch.testing.assert_close(found, query @ key[:, :, ::16].mT, rtol=1e-9, atol=1e-9 * float(key.abs().max()))


def test_more_exact_dimensions_prove_more():
    query, key = draws("plain", dim=16)
    query, key = query * torch.arange(1, 17), key / torch.arange(1, 17) ** 2
    bounds, _ = bounds_of(query, key)
    places = torch.where(torch.ones(2, 3, 4, 3, dtype=torch.bool))
    means = [float(bounds.of_pairs(places, rank).mean()) for rank in (0, 2, 8, 16)]
    assert means == sorted(means, reverse=True)
    assert means[0] > means[-1] + 0.1


@pytest.mark.parametrize("name", SCALES)
def test_a_basis_keeps_products(name):
    query, key = draws(name)
    basis = Basis.balanced(query, key)
    found = exact(query @ basis.queries.mT, key @ basis.keys.mT)
    allowed = basis.error[..., None, None] * query.norm(dim=-1)[..., None] * key.norm(dim=-1)[..., None, :]
    assert (np.abs(found - exact(query, key)) <= allowed.numpy()).all()
    assert float(basis.error.max()) < 1e-7


def test_a_basis_balances_second_moments():
    draw = torch.Generator().manual_seed(0)
    query, key = (
        torch.randn(400, 6, generator=draw).double() @ torch.randn(6, 6, generator=draw).double() for _ in "qk"
    )
    basis = Basis.balanced(query, key)
    moments = [turned.mT @ turned for turned in (query @ basis.queries.mT, key @ basis.keys.mT)]
    torch.testing.assert_close(moments[0], moments[1])
    diagonal = moments[0].diagonal()
    torch.testing.assert_close(moments[0], torch.diag(diagonal))
    assert torch.equal(diagonal.argsort(descending=True), torch.arange(6))


@pytest.mark.parametrize("fill", [0.0, float("nan"), float("inf"), 1e200])
def test_a_basis_of_useless_numbers_stays_finite(fill):
    basis = Basis.balanced(torch.full((1, 5, 3), fill, dtype=torch.float64), torch.ones(1, 5, 3).double())
    assert torch.isfinite(basis.queries).all()
    torch.testing.assert_close(basis.queries.mT @ basis.keys, torch.eye(3).double()[None])
