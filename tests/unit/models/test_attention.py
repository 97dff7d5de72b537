"""Our attention inside models of transformers: used in every layer, masked, and equal to the library's softmax."""

from __future__ import annotations

import contextlib
from types import SimpleNamespace

import pytest
import torch
from entmax import entmax15

from sparse_attention.block_sparse.dispatch import use_kernels
from sparse_attention.errors import InputError
from sparse_attention.models.attention import NAME, Attention, Observation, attend, observed, set_attention
from sparse_attention.models.masked_lm import base_output, check_attention_is_reached

FAMILIES = ["bert", "roberta", "modernbert"]


def ours(model, attention: str):
    model.set_attn_implementation(NAME)
    set_attention(model, Attention.parse(attention))
    return model.eval()


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    tokens = torch.randint(5, 60, (2, 16), generator=torch.Generator().manual_seed(3))
    real = torch.ones_like(tokens)
    real[1, 10:] = 0
    return tokens, real


def observations(model) -> list[Observation]:
    seen: list[Observation] = []
    with observed(seen.append), torch.no_grad():
        base_output(model, *batch())
    return seen


@pytest.mark.parametrize(
    "text, alpha", [("softmax", 1.0), ("entmax~1.5", 1.5), ("entmax~2", 2.0), ("entmax~1.01", 1.01)]
)
def test_names_are_read(text, alpha):
    assert Attention.parse(text).alpha == alpha


@pytest.mark.parametrize("text", ["entmax", "entmax~1", "entmax~2.1", "entmax~x", "sparsemax", "softmax~1.5", ""])
def test_unknown_names_are_refused(text):
    with pytest.raises(InputError, match=r"allowed: softmax, entmax~A"):
        Attention.parse(text)


@pytest.mark.parametrize("family", FAMILIES)
def test_softmax_equals_the_library(family, make_model):
    tokens, real = batch()
    model = make_model(family).eval()
    model.set_attn_implementation("eager")
    with torch.no_grad():
        expected = base_output(model, tokens, real)[real.bool()]
        fast = base_output(ours(model, "softmax"), tokens, real)[real.bool()]
        with observed(lambda observation: None):
            watched = base_output(model, tokens, real)[real.bool()]
    assert torch.allclose(fast, expected, atol=1e-5)
    assert torch.allclose(watched, expected, atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_entmax_is_what_the_package_computes(family, make_model):
    for observation in observations(ours(make_model(family), "entmax~1.5")):
        scores = observation.queries @ observation.keys.transpose(2, 3) / observation.queries.shape[-1] ** 0.5
        mask = observation.mask.expand(scores.shape)
        rows = mask.any(-1)  # padding beside a local window sees nothing
        expected = entmax15(scores.masked_fill(~mask, -1e9), dim=-1)
        assert torch.allclose(observation.probabilities[rows], expected[rows], atol=1e-5)
        assert not observation.probabilities[~rows].any()


@pytest.mark.parametrize("attention", ["softmax", "entmax~1.5", "entmax~2"])
@pytest.mark.parametrize("family", FAMILIES)
def test_padding_gets_exactly_zero_probability(family, attention, make_model):
    model = ours(make_model(family), attention)
    seen = observations(model)
    assert len(seen) == 2
    for observation in seen:
        assert not observation.probabilities[1, :, :10, 10:].any()
        assert torch.allclose(observation.probabilities[1, :, :10].sum(-1), torch.ones(4, 10), atol=1e-5)
    tokens, real = batch()
    changed = tokens.masked_fill(real == 0, 7)
    with torch.no_grad():
        before, after = base_output(model, tokens, real), base_output(model, changed, real)
    assert torch.equal(before[real.bool()], after[real.bool()])


@pytest.mark.parametrize("family", FAMILIES)
def test_training_reaches_every_query_and_key_weight(family, make_model):
    model = ours(make_model(family), "entmax~1.5").train()
    base_output(model, *batch()).square().mean().backward()
    for name, weight in model.base_model.named_parameters():
        if any(part in name for part in ("query.weight", "key.weight", "Wqkv.weight")):
            assert weight.grad.abs().sum() > 0, name


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("kernels", ["auto", "reference"])
def test_kernels_and_probabilities_give_the_same_output_and_gradients(family, kernels, make_model):
    model, (tokens, real) = ours(make_model(family), "entmax~1.5"), batch()
    results = []
    use_kernels(kernels)
    try:
        for watch in (contextlib.nullcontext(), observed(lambda observation: None)):
            model.zero_grad()
            with watch:
                output = base_output(model, tokens, real)[real.bool()]
            output.square().mean().backward()
            gradients = {name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None}
            results.append((output.detach(), gradients))
    finally:
        use_kernels("auto")
    (output, gradients), (expected, others) = results
    torch.testing.assert_close(output, expected, rtol=0, atol=1e-5)
    assert gradients.keys() == others.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, others[name], rtol=1e-3, atol=1e-6, msg=name)


def test_masks_that_bounds_cannot_express_and_biases_go_through_the_probabilities(make_model):
    layer = SimpleNamespace(config=SimpleNamespace(sparse_attention={"kind": "entmax", "alpha": 1.5}))
    query, key, value = torch.randn(3, 1, 2, 6, 8, generator=torch.Generator().manual_seed(0))
    holes = torch.eye(6, dtype=torch.bool)
    holes[:, 0] = True
    for mask in (holes[None, None], torch.zeros(1, 1, 6, 6)):
        output, probabilities = attend(layer, query, key, value, mask)
        assert probabilities is not None
        expected = (probabilities @ value).transpose(1, 2)
        torch.testing.assert_close(output, expected)
    output, probabilities = attend(layer, query, key, value, torch.ones(1, 1, 6, 6, dtype=torch.bool))
    assert probabilities is None
    torch.testing.assert_close(output, expected, rtol=0, atol=1e-6)


def test_alpha_is_read_at_every_call(make_model):
    model = ours(make_model("bert"), "entmax~1.5")
    first = observations(model)[0].probabilities
    set_attention(model, Attention("entmax", 2.0))
    assert (observations(model)[0].probabilities == 0).sum() > (first == 0).sum()


@pytest.mark.parametrize("family", FAMILIES)
def test_families_that_use_the_interface_pass_the_check(family, make_model):
    model = ours(make_model(family), "softmax").train()
    check_attention_is_reached(model)
    assert model.training


def test_longformer_is_refused(make_model):
    model = make_model("longformer")
    model.config._attn_implementation = NAME
    set_attention(model, Attention.parse("entmax~1.5"))
    with pytest.raises(InputError, match="LongformerForMaskedLM computes attention by itself: 0 of 2 layers"):
        check_attention_is_reached(model)


def test_a_model_that_drops_its_padding_mask_is_refused(make_model):
    model = ours(make_model("bert"), "entmax~1.5")
    inner = model.bert.encoder.forward
    model.bert.encoder.forward = lambda hidden, attention_mask=None, **rest: inner(hidden, attention_mask=None, **rest)
    with pytest.raises(InputError, match="padding"):
        check_attention_is_reached(model)
