"""Extracted queries and keys rebuild the attention that the model computed."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from sparse_attention.attention.entmax import probabilities
from sparse_attention.errors import InputError
from sparse_attention.models.attention import NAME, Attention, observed, set_attention
from sparse_attention.models.masked_lm import base_output
from sparse_attention.qk.extraction import extract, local_window
from sparse_attention.qk.options import ExtractOptions
from sparse_attention.qk.store import QKReader
from sparse_attention.training.batches import in_turn

OPTIONS = ExtractOptions(False, False, 0.1, {"train": 7, "validation": 5}, 3, "float32")


@pytest.fixture
def extracted(make_model, corpus, tmp_path):
    def run(family, split="train", **changes):
        model = make_model(family).eval()
        model.set_attn_implementation(NAME)
        set_attention(model, Attention.parse("entmax~1.5"))
        extract(model, corpus, split, tmp_path / split, replace(OPTIONS, **changes), {"model": "digest"})
        return model, QKReader(tmp_path / split)

    return run


@pytest.mark.parametrize("family", ["bert", "roberta", "modernbert"])
def test_scores_rebuild_the_models_own_probabilities(family, extracted, corpus):
    model, store = extracted(family)
    tokens, lengths, documents = corpus.split("train")
    for index, block in enumerate(in_turn(documents, 7).tolist()):
        length, seen = int(lengths[block]), []
        with observed(seen.append), torch.no_grad():
            base_output(model, tokens[block : block + 1, :length].long(), torch.ones(1, length, dtype=torch.long))
        for layer, observation in enumerate(seen):
            example = store.example(layer, index)
            scores = example.queries @ example.keys.transpose(1, 2) / example.queries.shape[-1] ** 0.5
            rebuilt = probabilities(scores, store.info.alpha, example.valid)
            assert torch.allclose(rebuilt, observation.probabilities[0], atol=2e-5)
            assert observation.mask is None or torch.equal(example.valid, observation.mask[0, 0])


def test_info_tells_what_was_taken(extracted, corpus):
    _, store = extracted("modernbert", "validation")
    _, lengths, documents = corpus.split("validation")
    chosen = in_turn(documents, 5)
    assert store.info.query_lengths == store.info.key_lengths == tuple(lengths[chosen].tolist())
    assert store.info.documents == tuple(f"validation{number}" for number in documents[chosen].tolist())
    assert (store.info.layers, store.info.heads, store.info.head_dim) == (2, 4, 8)
    assert store.info.local_windows == (None, 3) and not store.info.causal
    assert store.info.alpha == 1.5 and store.info.source == {"model": "digest"}


def test_the_batch_size_does_not_matter(extracted, tmp_path):
    _, one = extracted("bert", "train", batch_size=1)
    few = [one.example(1, index) for index in range(7)]
    _, all_at_once = extracted("bert", "train", batch_size=7)
    for example in few:
        assert torch.allclose(example.queries, all_at_once.example(1, example.index).queries, atol=1e-5)


def test_fewer_blocks_than_asked_are_all_taken(extracted):
    _, store = extracted("bert", "validation", examples={"train": 1, "validation": 500}, dtype="bfloat16")
    assert store.info.examples == 12 and store.info.dtype == "bfloat16"


def test_an_empty_split_is_refused(extracted, corpus):
    corpus.tensors.update({name: tensor[:0] for name, tensor in corpus.tensors.items() if name.startswith("train")})
    with pytest.raises(InputError, match="no blocks"):
        extracted("bert")


@pytest.mark.parametrize("width", [0, 2, 5])
def test_local_windows_are_read_off_masks(width):
    distance = (torch.arange(8)[:, None] - torch.arange(8)).abs()
    allowed = distance <= width
    assert local_window(allowed[None, None]) == width
    assert local_window(torch.where(allowed, 0.0, torch.finfo(torch.float32).min)) == width


def test_full_masks_have_no_window_and_odd_ones_are_refused():
    assert local_window(None) is None
    assert local_window(torch.ones(1, 1, 4, 4, dtype=torch.bool)) is None
    with pytest.raises(InputError, match="local window"):
        local_window(torch.ones(4, 4, dtype=torch.bool).tril())
