"""A Longformer made from an encoder: hidden states equal the encoder's, positions repeat, others are refused."""

from __future__ import annotations

import pytest
import torch
from transformers import BertConfig, BertModel, GPT2Config, GPT2Model, RobertaConfig, RobertaForMaskedLM

from sparse_attention.errors import InputError
from sparse_attention.models.longformer import longformer_from_encoder

SMALL = {
    "vocab_size": 50,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "initializer_range": 0.3,
    "type_vocab_size": 2,
}


def encoder(family: str):
    torch.manual_seed(0)
    if family == "bert":
        return BertModel(BertConfig(**SMALL, max_position_embeddings=24, pad_token_id=0)).eval()
    return RobertaForMaskedLM(RobertaConfig(**SMALL, max_position_embeddings=26, pad_token_id=1)).eval()


def batch(pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    tokens = torch.randint(5, 50, (3, 24), generator=torch.Generator().manual_seed(1))
    mask = (torch.arange(24) < torch.tensor([24, 13, 3])[:, None]).long()
    return tokens.masked_fill(mask == 0, pad), mask


def states(model, tokens, mask, **more):
    with torch.no_grad():
        return model(input_ids=tokens, attention_mask=mask, **more).last_hidden_state


@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_hidden_states_equal_the_encoders_with_a_window_over_all_tokens(family):
    source = encoder(family)
    made = longformer_from_encoder(source, layers=3, window=48, max_positions=96)
    tokens, mask = batch(source.config.pad_token_id)
    first = torch.zeros_like(mask)
    first[:, 0] = 1
    ours = states(made.longformer, tokens, mask, global_attention_mask=first)
    theirs = states(source.base_model, tokens, mask)
    assert (ours - theirs)[mask.bool()].abs().max() < 1e-4


@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_positions_repeat_and_the_first_layers_are_taken(family):
    source = encoder(family)
    made = longformer_from_encoder(source, layers=2, window=4, max_positions=60, labels=3)
    first = source.config.pad_token_id + 1
    table = made.longformer.embeddings.position_embeddings.weight
    own = source.base_model.embeddings.position_embeddings.weight[0 if family == "bert" else first :]
    assert len(table) == 60 + first
    for place in range(60):
        assert torch.equal(table[first + place], own[place % 24])
    for layer, given in zip(made.longformer.encoder.layer, source.base_model.encoder.layer, strict=False):
        assert torch.equal(layer.output.dense.weight, given.output.dense.weight)
        assert torch.equal(layer.attention.self.key_global.weight, given.attention.self.key.weight)
        assert layer.attention.self.key_global.weight is not layer.attention.self.key.weight
    assert len(made.longformer.encoder.layer) == 2 and made.config.attention_window == [4, 4]
    tokens = torch.randint(5, 50, (2, 60))
    assert made(input_ids=tokens, attention_mask=torch.ones_like(tokens)).logits.shape == (2, 3)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"layers": 0}, "train_classifier.longformer.layers: 0"),
        (
            {"layers": 4},
            "train_classifier.longformer.layers: 4 is not allowed; allowed: from 1 to the 3 of the model in BertModel",
        ),
        ({"window": 3}, "window: 3"),
        ({"max_positions": 0}, "tokenise_code.max_tokens: 0"),
    ],
    ids=str,
)
def test_refuses_numbers_that_are_not_allowed(changes, named):
    settings = {"layers": 2, "window": 4, "max_positions": 24, **changes}
    with pytest.raises(InputError, match=named):
        longformer_from_encoder(encoder("bert"), **settings)


def test_refuses_families_without_an_encoder():
    decoder = GPT2Model(GPT2Config(n_layer=1, n_embd=8, n_head=2, vocab_size=20, n_positions=8))
    with pytest.raises(InputError, match="gpt2; allowed: bert"):
        longformer_from_encoder(decoder, 1, 4, 24)


def test_refuses_an_encoder_without_padding():
    source = BertModel(BertConfig(**SMALL, max_position_embeddings=24, pad_token_id=None))
    with pytest.raises(InputError, match="encoder: pad_token_id: null is not allowed; allowed: a whole number"):
        longformer_from_encoder(source, 2, 4, 24)
