"""Losses against plain references."""

from __future__ import annotations

import math

import pytest
import torch

from sparse_attention.models.attention import NAME, Attention, observed, set_attention
from sparse_attention.models.masked_lm import base_output
from sparse_attention.training.batches import Masking, in_turn, validation_batches
from sparse_attention.training.losses import Losses, gold_sparsity, measure


def ours(model, attention: str):
    model.set_attn_implementation(NAME)
    set_attention(model, Attention.parse(attention))
    return model


def test_loss_and_accuracy_equal_the_full_decode(corpus, make_model):
    model = ours(make_model("bert"), "entmax~1.5").train()
    tokens, lengths, documents = corpus.split("validation")
    masking = Masking(0.3, corpus.info.special, 60)
    batches = list(validation_batches(tokens, lengths, in_turn(documents, None), 5, masking))
    found = measure(model, batches)
    assert model.training
    model.eval()
    sums, hits, count = 0.0, 0, 0
    for batch in batches:
        with torch.no_grad():
            logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
        chosen = batch["labels"] != -100
        sums += torch.nn.functional.cross_entropy(logits[chosen], batch["labels"][chosen], reduction="sum").item()
        hits += int((logits.argmax(-1) == batch["labels"])[chosen].sum())
        count += int(chosen.sum())
    assert found.loss == pytest.approx(sums / count, rel=1e-5)
    assert (found.accuracy, found.masked_tokens, found.blocks) == (hits / count, count, 12)


def test_row_states_perplexity_and_bits_per_character(corpus):
    row = Losses(loss=2.0, accuracy=0.5, masked_tokens=10, blocks=3).row("after", corpus.info)
    assert row["perplexity"] == pytest.approx(math.exp(2))
    assert row["bits_per_character"] == pytest.approx(2 / math.log(2) / 5)
    assert (row["stage"], row["unigram_loss"]) == ("after", 4.0)


@pytest.mark.parametrize("family", ["bert", "modernbert"])
def test_gold_sparsity_counts_valid_pairs_only(family, corpus, make_model):
    model = ours(make_model(family), "entmax~1.5").eval()
    tokens, lengths, _ = corpus.split("validation")
    table = gold_sparsity(model, [(tokens[:7], lengths[:7]), (tokens[7:], lengths[7:])])
    expected = torch.zeros(2, 4)
    for row, length in zip(tokens, lengths.tolist(), strict=True):
        seen = []
        with observed(seen.append), torch.no_grad():
            base_output(model, row[None, :length].long(), torch.ones(1, length, dtype=torch.long))
        for layer, observation in enumerate(seen):
            valid = torch.ones(length, length, dtype=torch.bool) if observation.mask is None else observation.mask[0, 0]
            expected[layer] += (observation.probabilities[0] == 0)[:, valid].double().mean(-1) / len(tokens)
    assert expected.mean() > 0.2
    assert table["gold_sparsity"].tolist() == pytest.approx(expected.flatten().tolist(), abs=1e-4)
    assert table[["layer", "head"]].values.tolist() == [[layer, head] for layer in range(2) for head in range(4)]


def test_softmax_has_no_sparsity(corpus, make_model):
    tokens, lengths, _ = corpus.split("validation")
    assert gold_sparsity(ours(make_model("bert"), "softmax"), [(tokens, lengths)])["gold_sparsity"].eq(0).all()
