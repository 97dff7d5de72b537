"""What holds of every predictor: no invalid pairs, heads are independent, results do not depend on any order."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from sparse_attention.predictors.base import Context, Predictor
from sparse_attention.predictors.registry import create, discover

GRIDS = {
    "bigbird": [{"random_keys": n} for n in (0, 1, 3)],
    "cos": [{"threshold": t} for t in (0.1, 0.5, 1.0)],
    "dynamic": [{"bucket_size": b, "temperature": 1.0} for b in (2, 4)],
    "fixed": [{"bucket_size": b} for b in (2, 4)],
    "kmeans": [{"top": top} for top in (1, 2)],
    "l2": [{"threshold": t} for t in (0.1, 0.5, 1.0)],
    "longformer": [{"global_tokens": n} for n in (1, 3)],
    "oracle": [{"keys": n} for n in (1, 3)],
    "random": [{"sparsity": s} for s in (0.1, 0.9)],
    "window": [{"width": w} for w in (1, 3)],
}


class FakeCentroids:
    """Nearest of 5 random centroids in 2 runs, the same for all heads."""

    centroids = torch.randn(1, 2, 5, 2, generator=torch.Generator().manual_seed(9), dtype=torch.float64)

    def layer(self, layer):
        return self.centroids.expand(3, -1, -1, -1)

    def assign(self, layer, vectors, top):
        distance = (vectors[:, None, :, None].double() - self.layer(layer)[:, :, None]).square().sum(-1)
        return distance.argsort(dim=-1, stable=True)[..., :top]


def new(name, seed=0):
    return create(name, Context(seed, {"clusters": 5, "runs": 2} if name == "kmeans" else {}, FakeCentroids()))


def supports(name, features, seed=0):
    return torch.stack(list(new(name, seed).supports(features, GRIDS[name])))


def test_every_predictor_is_tested_here():
    assert set(GRIDS) == set(discover())


@pytest.mark.parametrize("name", GRIDS)
def test_supports_are_boolean_of_full_shape_and_hold_valid_pairs_only(name, features):
    result = supports(name, features)
    assert result.dtype == torch.bool
    assert result.shape == (len(GRIDS[name]), *features.shape)
    assert not (result & ~features.valid).any()


@pytest.mark.parametrize("name", GRIDS)
def test_supports_come_in_the_order_of_the_grid(name, make_features):
    features, grid = make_features("square"), GRIDS[name]
    forwards, backwards = (torch.stack(list(new(name).supports(features, g))) for g in (grid, grid[::-1]))
    assert torch.equal(forwards, backwards.flip(0))


@pytest.mark.parametrize("name", sorted(set(GRIDS) - {"bigbird", "random"}))
def test_permuting_heads_permutes_supports(name, make_features):
    features, order = make_features("causal"), [2, 0, 1]
    vectors = {field: getattr(features, field)[order] for field in ("queries", "keys", "raw_queries", "raw_keys")}
    assert torch.equal(supports(name, dataclasses.replace(features, **vectors)), supports(name, features)[:, order])


@pytest.mark.parametrize("name", ["bigbird", "random", "longformer"])
def test_chance_depends_on_seed_layer_and_example_only(name, make_features):
    features = make_features("long", layer=2, index=5)
    predictor = new(name, seed=7)
    list(predictor.supports(make_features("long", layer=0, index=0), GRIDS[name]))
    torch.manual_seed(123)
    after_another = torch.stack(list(predictor.supports(features, GRIDS[name])))
    assert torch.equal(after_another, supports(name, features, seed=7))
    for other in (
        supports(name, features, seed=8),
        supports(name, make_features("long", layer=3, index=5), seed=7),
        supports(name, make_features("long", layer=2, index=6), seed=7),
    ):
        assert not torch.equal(after_another, other)


@pytest.mark.parametrize("name", GRIDS)
def test_inputs_are_left_as_they_were(name, make_features):
    features = make_features("causal")
    supports(name, features)
    fresh = make_features("causal")
    for field in dataclasses.fields(features):
        before, after = getattr(fresh, field.name), getattr(features, field.name)
        assert torch.equal(before, after) if isinstance(before, torch.Tensor) else before == after


def test_a_new_predictor_is_one_small_class(make_features):
    class FirstKeys(Predictor):
        """The first `keys` keys."""

        name = "first"

        def predict(self, features, keys):
            return torch.arange(features.shape[2]) < keys

    features = make_features("causal")
    (support,) = FirstKeys(Context()).supports(features, [{"keys": 2}])
    assert support.shape == features.shape
    assert support[0].sum(-1).tolist() == [1, 2, 2, 2, 2, 2, 2, 2, 2]
