"""Tiny models of each family, with two layers of 32 dimensions, and a small corpus of tokens."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from transformers import (
    BertConfig,
    BertForMaskedLM,
    LongformerConfig,
    LongformerForMaskedLM,
    ModernBertConfig,
    ModernBertForMaskedLM,
    PreTrainedModel,
    RobertaConfig,
    RobertaForMaskedLM,
)

from sparse_attention.data.blocks import Blocks, BlocksInfo, SplitInfo

SMALL = {
    "vocab_size": 60,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 66,
    "pad_token_id": 1,
    "initializer_range": 0.3,  # large enough that entmax gives zeros
}
MODERN = {"local_attention": 6, "global_attn_every_n_layers": 2, "bos_token_id": 2, "eos_token_id": 3}
TOKENS = {"cls_token_id": 2, "sep_token_id": 3, "reference_compile": False}


def make(family: str, **changes: object) -> PreTrainedModel:
    """Return a model with random weights and the attention of transformers."""
    torch.manual_seed(0)
    settings = {**SMALL, **changes}
    if family == "bert":
        return BertForMaskedLM(BertConfig(**settings))
    if family == "roberta":
        return RobertaForMaskedLM(RobertaConfig(**settings))
    if family == "modernbert":
        return ModernBertForMaskedLM(ModernBertConfig(**settings, **MODERN, **TOKENS))
    return LongformerForMaskedLM(LongformerConfig(**settings, attention_window=[8, 8]))


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Use one thread, which is fastest for models of this size."""
    torch.set_num_threads(1)


@pytest.fixture
def make_model() -> Callable[..., PreTrainedModel]:
    """Return the function that makes a tiny model of a family."""
    return make


@pytest.fixture
def corpus() -> Blocks:
    """Return blocks of different lengths in which each token determines the next, so that a model can learn them."""
    generator = torch.Generator().manual_seed(1)
    special = {"pad": 1, "cls": 2, "sep": 3, "mask": 4}
    tensors, splits = {}, {}
    for split, blocks in (("train", 40), ("validation", 12)):
        lengths = torch.randint(12, 25, (blocks,), generator=generator, dtype=torch.int32)
        starts = torch.randint(50, (blocks, 1), generator=generator)
        tokens = (5 + (starts + 7 * torch.arange(24)) % 50).to(torch.int32)
        tokens[:, 0] = special["cls"]
        places = torch.arange(24)
        tokens[places == lengths[:, None] - 1] = special["sep"]
        tokens[places >= lengths[:, None]] = special["pad"]
        tensors |= {f"{split}.tokens": tokens, f"{split}.lengths": lengths}
        tensors[f"{split}.documents"] = (torch.arange(blocks) // 5).to(torch.int32)
        documents = [f"{split}{number}" for number in range((blocks + 4) // 5)]
        count = int(lengths.sum()) - 2 * blocks
        splits[split] = SplitInfo(blocks, count, 5 * count, documents)
    return Blocks(tensors, BlocksInfo(24, special, 60, 4.0, splits))
