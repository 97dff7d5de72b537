"""What holds of every predictor: no invalid pairs, heads are independent, sweeps give what single points give."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from examples import EXAMPLES
from points import CHANCE, GRIDS, points
from sparse_attention.errors import InputError
from sparse_attention.predictors.base import Context, Predictor
from sparse_attention.predictors.registry import create, discover

# predictors that look at every pair
PAIRWISE = {"calibrated", "cos", "direction", "entmax", "euclidean", "hash_attention", "indexer", "l2", "min",
            "min_norm", "minkowski", "oracle", "pca", "sparq"}  # fmt: skip
# what they learned or were given differs from head to head
PER_HEAD = {"direction", "euclidean", "kmeans", "l2", "min", "min_norm", "minkowski", "routing_kmeans", "simhash"} | {
    name for name in GRIDS if discover()[name].fits
}

# shapes that tied hashing, one point of Reformer, does not take
UNEQUAL = ("fewer-queries", "fewer-keys")


def supports(predictor, features):
    return torch.stack([predictor.support(features, **point) for point in points(predictor.name)])


def swept(predictor, features, grid):
    """The supports as the engine gets them: unpacked, in the order of the grid."""
    found = [None] * len(grid)
    everywhere = torch.arange(np.prod(features.shape))
    for places, support in predictor.supports(features, grid):
        levels = torch.from_numpy(support.at(everywhere)).reshape(features.shape)
        for level, place in enumerate(places):
            found[place] = (levels <= level) & features.valid
    return torch.stack(found)


def cut(features, heads):
    vectors = {field: getattr(features, field)[heads] for field in ("queries", "keys", "raw_queries", "raw_keys")}
    return dataclasses.replace(features, **vectors)


def test_every_predictor_is_tested_here():
    assert set(GRIDS) == set(discover())


@pytest.mark.parametrize(
    ("name", "features"),
    [pytest.param(name, example, id=f"{name}-{label}") for name in GRIDS for label, example in EXAMPLES.items()
     if name != "reformer" or example[0] not in UNEQUAL],
    indirect=["features"],
)  # fmt: skip
def test_supports_hold_valid_pairs_only_and_a_sweep_gives_them_in_any_order(name, features, new):
    grid, predictor = points(name), new(name)
    expected = supports(predictor, features)
    assert expected.dtype == torch.bool
    assert expected.shape == (len(grid), *features.shape)
    assert not (expected & ~features.valid).any()
    assert torch.equal(swept(predictor, features, grid), expected)
    assert torch.equal(swept(predictor, features, grid[::-1]), expected.flip(0))


@pytest.mark.parametrize("name", GRIDS)
def test_heads_do_not_depend_on_those_given_with_them(name, make_features, new):
    features, predictor = make_features("causal"), new(name)
    whole = swept(predictor, features, points(name))
    for part in (slice(0, 1), slice(1, 3)):
        assert torch.equal(swept(predictor, features.part(part), points(name)), whole[:, part])


@pytest.mark.parametrize("name", sorted(set(GRIDS) - PER_HEAD - {"bigbird", "random", "reformer", "routing"}))
def test_permuting_heads_permutes_supports(name, make_features, new):
    features, order = make_features("causal"), [2, 0, 1]
    permuted = supports(new(name), cut(features, order))
    assert torch.equal(permuted, supports(new(name), features)[:, order])


@pytest.mark.parametrize("name", CHANCE)
def test_chance_depends_on_seed_layer_and_example_only(name, make_features, new):
    features = make_features("long", layer=1, index=5)
    predictor = new(name, seed=7)
    supports(predictor, make_features("long", layer=0, index=0))
    torch.manual_seed(123)
    after_another = supports(predictor, features)
    assert torch.equal(after_another, supports(predictor, features))
    for other in (
        supports(new(name, seed=8), features),
        supports(predictor, make_features("long", layer=3, index=5)),
        supports(predictor, make_features("long", layer=1, index=6)),
    ):
        assert not torch.equal(after_another, other)


@pytest.mark.parametrize("name", GRIDS)
def test_inputs_are_left_as_they_were(name, make_features, new):
    features = make_features("causal")
    swept(new(name), features, points(name))
    fresh = make_features("causal")
    for field in dataclasses.fields(features):
        before, after = getattr(fresh, field.name), getattr(features, field.name)
        assert torch.equal(before, after) if isinstance(before, torch.Tensor) else before == after


@pytest.mark.parametrize("name", GRIDS)
def test_predicting_has_a_known_cost(name, make_features, new):
    for point in points(name):
        small, large = (new(name).cost(make_features(shape), **point) for shape in ("square", "long"))
        assert 0 <= small <= large < float("inf")


@pytest.mark.parametrize("name", GRIDS)
def test_pairs_that_are_not_valid_cost_nothing(name, make_features, new):
    """A causal mask leaves 45 of 81 pairs: who compares pairs pays for these, who does not pays the same."""
    predictor = new(name)
    for point in points(name):
        full, causal = (predictor.cost(make_features(shape), **point) for shape in ("square", "causal"))
        assert causal < full if name in PAIRWISE else causal <= full


FITS = [name for name in GRIDS if discover()[name].fits]


@pytest.mark.parametrize("name", FITS)
def test_what_was_learned_predicts_the_same_after_it_was_saved_and_loaded(name, make_features, new, tmp_path):
    fitted, again = new(name), create(name, Context(0, GRIDS[name][0]))
    save_file(fitted.state(), tmp_path / "state.safetensors")
    again.load_state(1, load_file(tmp_path / "state.safetensors"))
    for shape in ("square", "causal", "fewer-keys", "long"):
        features = make_features(shape, seed=5)
        assert torch.equal(supports(again, features), supports(fitted, features))
        part = features.part(slice(1, 3))
        assert torch.equal(supports(again, part), supports(fitted, part))
    # products of tensors that lie differently in memory may be rounded differently
    assert {key: (value.stride(), value.dtype) for key, value in tensors_of(again).items()} == {
        key: (value.stride(), value.dtype) for key, value in tensors_of(fitted).items()
    }
    with pytest.raises(KeyError):
        again.support(make_features("square", layer=2), **points(name)[0])


def tensors_of(predictor):
    return {f"{part}.{name}": value for part, named in predictor.learned[1].items() for name, value in named.items()}


@pytest.mark.parametrize("name", FITS)
def test_a_predictor_that_learns_refuses_to_be_given_nothing(name):
    with pytest.raises(InputError, match=f"predictors.{name}: nothing that it learned for layer 3"):
        create(name, Context(0, GRIDS[name][0])).load_state(3, {})


@pytest.mark.parametrize("name", sorted(set(GRIDS) - set(FITS)))
def test_a_predictor_that_does_not_learn_has_no_state(name, make_features, new):
    predictor = new(name)
    predictor.load_state(1, predictor.state())
    assert predictor.state() == {}


def test_a_new_predictor_is_one_small_class(make_features):
    class FirstKeys(Predictor):
        """The first `keys` keys."""

        name = "first"

        def predict(self, features, keys):
            return torch.arange(features.shape[2]) < keys

    features = make_features("causal")
    support = FirstKeys(Context()).support(features, keys=2)
    assert support.shape == features.shape
    assert support[0].sum(-1).tolist() == [1, 2, 2, 2, 2, 2, 2, 2, 2]
