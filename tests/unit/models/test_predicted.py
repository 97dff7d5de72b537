"""A model attends to exactly the keys that the predictors of its layers choose, and can switch back."""

from __future__ import annotations

import pytest
import torch

from sparse_attention.as_published.measures import penalised
from sparse_attention.attention.entmax import probabilities
from sparse_attention.errors import InputError
from sparse_attention.models.attention import NAME, Attention, observed, set_attention
from sparse_attention.models.masked_lm import base_output
from sparse_attention.models.predicted import PREDICTED, set_predictors


@pytest.fixture
def batch(corpus):
    tokens, lengths, _ = corpus.split("validation")
    real = torch.arange(tokens.shape[1]) < lengths[:, None]
    return tokens.long(), real.long()


def ready(make_model, family="bert", attention="entmax~1.5"):
    model = make_model(family).eval()
    model.set_attn_implementation(NAME)
    set_attention(model, Attention.parse(attention))
    return model


def observations(model, batch):
    seen = []
    with observed(seen.append), torch.no_grad():
        output = base_output(model, *batch)
    return output, seen


def everything(queries, keys, mask):
    return mask.expand(*queries.shape[:3], keys.shape[2])


@pytest.mark.parametrize("family", ["bert", "roberta", "modernbert"])
@pytest.mark.parametrize("attention", ["entmax~1.5", "softmax"])
def test_predicting_every_key_changes_nothing(family, attention, make_model, batch):
    model = ready(make_model, family, attention)
    full, _ = observations(model, batch)
    set_predictors(model, [everything] * model.config.num_hidden_layers)
    predicted, _ = observations(model, batch)
    assert model.config._attn_implementation == PREDICTED
    assert torch.equal(full, predicted)


@pytest.mark.parametrize("attention", ["entmax~1.5", "entmax~2", "softmax"])
def test_attention_is_that_of_the_predicted_keys_alone(attention, make_model, batch):
    model, generator = ready(make_model, attention=attention), torch.Generator().manual_seed(0)
    supports = []

    def some(queries, keys, mask):
        supports.append((torch.rand(*queries.shape[:3], keys.shape[2], generator=generator) < 0.4) & mask)
        return supports[-1]

    set_predictors(model, [some] * model.config.num_hidden_layers)
    _, seen = observations(model, batch)
    for observation, support in zip(seen, supports[-len(seen) :], strict=True):
        scores = observation.queries @ observation.keys.mT * observation.keys.shape[-1] ** -0.5
        scores = scores.masked_fill(~support, -torch.inf)
        alpha = model.config.sparse_attention["alpha"]
        wanted = torch.softmax(scores, -1).nan_to_num(0) if alpha == 1 else probabilities(scores, alpha)
        torch.testing.assert_close(observation.probabilities, wanted, atol=1e-6, rtol=1e-5)


def test_a_query_without_keys_gets_zeros_and_not_the_mean_of_the_values(make_model, batch):
    model = ready(make_model)
    set_predictors(
        model,
        [lambda queries, keys, mask: mask.new_zeros(*queries.shape[:3], keys.shape[2])]
        * model.config.num_hidden_layers,
    )
    _, seen = observations(model, batch)
    assert all(not observation.probabilities.any() for observation in seen)


def test_dense_empty_rows_is_what_the_published_code_computes():
    """There, pairs outside the support get the score -10,000, which shifts all scores of a query without keys."""
    generator = torch.Generator().manual_seed(0)
    scores, support = torch.randn(3, 8, 8, generator=generator), torch.rand(3, 8, 8, generator=generator) < 0.3
    support[:, 2] = False
    used = support | ~support.any(-1, keepdim=True)
    wanted = probabilities(scores.double().masked_fill(~used, -torch.inf), 1.5)
    torch.testing.assert_close(penalised(scores.double(), support, 1.5), wanted, atol=1e-9, rtol=1e-9)


def test_a_model_switches_between_predicted_and_full_attention(make_model, batch):
    model = ready(make_model)
    full, _ = observations(model, batch)
    set_predictors(
        model,
        [lambda queries, keys, mask: torch.eye(queries.shape[2]).bool().expand(*queries.shape[:3], -1) & mask]
        * model.config.num_hidden_layers,
    )
    own, _ = observations(model, batch)
    model.set_attn_implementation(NAME)
    again, _ = observations(model, batch)
    assert torch.equal(full, again) and not torch.equal(full, own)
    model.set_attn_implementation(PREDICTED)
    assert torch.equal(own, observations(model, batch)[0])


def test_another_number_of_predictors_than_layers_is_refused(make_model):
    with pytest.raises(InputError, match=r"3 layers of predictors for 2 layers of attention; allowed: as many"):
        set_predictors(ready(make_model), [everything] * 3)


def test_a_model_without_predictors_says_so(make_model, batch):
    model = ready(make_model)
    model.set_attn_implementation(PREDICTED)
    with pytest.raises(InputError, match="the model has no predictors; allowed: after set_predictors"):
        observations(model, batch)


def test_layers_that_share_a_module_are_refused(make_model):
    model = ready(make_model)
    model.bert.encoder.layer[1] = model.bert.encoder.layer[0]
    with pytest.raises(InputError, match="layers share one attention module"):
        set_predictors(model, [everything] * 2)


def test_gradients_reach_the_weights_through_predicted_keys(make_model, batch):
    model = ready(make_model).train()
    window = torch.arange(batch[0].shape[1])
    near = (window[:, None] - window).abs() < 4
    set_predictors(model, [lambda queries, keys, mask: near & mask.expand(*queries.shape[:3], -1)] * 2)
    base_output(model, *batch).square().sum().backward()
    for name, weight in model.named_parameters():
        if ".query." in name or ".value." in name:
            assert weight.grad.abs().sum() > 0, name
