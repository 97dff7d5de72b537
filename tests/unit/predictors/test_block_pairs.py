"""Which pairs of blocks every predictor keeps: all with a pair of its support, found without pairs where possible."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from examples import EXAMPLES, features_of_shape
from points import GRIDS, points
from sparse_attention.attention.blocks import block_any
from sparse_attention.block_sparse.visible import Visible
from sparse_attention.predictors.features import Features
from sparse_attention.predictors.registry import discover

UNEQUAL = ("fewer-queries", "fewer-keys")  # tied hashing, one point of Reformer, needs a key for each query
SIZES = [(4, 3), (1, 16), (16, 1)]
CASES = [
    pytest.param(name, label, id=f"{name}-{label}")
    for name in GRIDS
    for label in (*EXAMPLES, "padded", "padded-tied")
    if name != "reformer" or EXAMPLES.get(label, label)[0] not in UNEQUAL
]
FAST = sorted(name for name, info in discover().items() if not info.quadratic)


def example(label):
    """Return an example; one is padded: nobody sees its last keys."""
    if label in EXAMPLES:
        shape, tied = EXAMPLES[label]
        return features_of_shape(shape, tied=tied)
    features = features_of_shape("longer", tied=label.endswith("tied"), seed=1)
    return dataclasses.replace(features, pairs=features.valid & (torch.arange(24) < 19))


def with_bounds(features):
    visible = Visible.of_mask(features.valid[None, None])
    assert visible is not None
    return dataclasses.replace(features, pairs=visible)


@pytest.mark.parametrize(("name", "label"), CASES)
def test_blocks_hold_the_support(name, label, new):
    features, predictor = example(label), new(name)
    for point in points(name):
        support = predictor.support(features, **point)
        for given in (features, with_bounds(features)):
            for sizes in SIZES:
                held = block_any(support, *sizes)
                found = predictor.block_pairs(given, *sizes, **point).expand(held.shape)
                assert not (held & ~found).any(), (point, sizes)
                if features.valid.all():
                    assert torch.equal(found, held), (point, sizes)


@pytest.mark.parametrize("label", [*EXAMPLES, "padded"])
def test_bounds_say_of_pairs_and_blocks_what_the_mask_says(label):
    features = example(label)
    bounds = with_bounds(features)
    assert torch.equal(bounds.valid, features.valid)
    _, queries, keys = features.shape
    rows, columns = torch.arange(queries + 2)[:, None], torch.arange(keys + 3)
    expected = torch.nn.functional.pad(features.valid, (0, 3, 0, 2))
    assert torch.equal(features.valid_at(rows, columns), expected)
    assert torch.equal(bounds.valid_at(rows, columns), expected)
    for sizes in SIZES:
        held = block_any(features.valid, *sizes)
        assert torch.equal(features.valid_blocks(*sizes), held)
        assert torch.equal(bounds.valid_blocks(*sizes), held)
        filled = torch.nn.functional.pad(~features.valid, (0, -keys % sizes[1], 0, -queries % sizes[0]), value=True)
        whole = ~block_any(filled, *sizes)
        assert torch.equal(features.whole_blocks(*sizes), whole)
        assert torch.equal(bounds.whole_blocks(*sizes), whole)


class Largest(TorchDispatchMode):
    """Remembers the number of elements of the largest tensor that an operation takes or gives."""

    numel = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for value in torch.utils._pytree.tree_leaves((args, kwargs, result)):
            if isinstance(value, torch.Tensor):
                self.numel = max(self.numel, value.numel())
        return result


# points whose own blocks and pages hold several tokens
LONG = {
    "gaussian_pages": {"page": 16, "alpha": 1.5, "mixture": True, "probability": 0.05},
    "quest": {"page": 16, "pages": 2},
    "xattention": {"block": 16, "stride": 4, "threshold": 0.6},
}


def largest_tensor(predictor, tokens, causal):
    """Return the largest number of elements of a tensor while blocks are predicted for 3 heads."""
    draw = torch.Generator().manual_seed(0)
    vectors = [torch.randn(3, tokens, size, generator=draw) for size in (2, 2, 5, 5)]
    features = Features(1, 0, *vectors, Visible.everything(1, tokens, tokens, causal))
    with Largest() as observed:
        predictor.block_pairs(features, 64, 64, **LONG.get(predictor.name, points(predictor.name)[-1]))
        features.valid_blocks(64, 64)
    return observed.numel


@pytest.mark.parametrize("causal", [False, True], ids=["everything", "causal"])
@pytest.mark.parametrize("name", [*FAST, "bigbird", "simhash"])
def test_no_tensor_holds_all_pairs(name, causal, new):
    assert largest_tensor(new(name), 2048, causal) < 2048**2


def test_a_tensor_of_all_pairs_would_be_seen(new):
    assert largest_tensor(new("oracle"), 2048, causal=False) >= 2048**2


def test_what_is_fast_is_declared():
    assert FAST == ["dynamic", "fixed", "gate", "gaussian_pages", "kmeans", "longformer", "quest", "reformer",
                    "routing", "routing_kmeans", "routing_trained", "strided", "window", "xattention"]  # fmt: skip
