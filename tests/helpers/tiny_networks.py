"""Networks of transformers with three layers and random weights, large enough that tokens differ."""

from __future__ import annotations

from typing import Any

import torch
from transformers import (
    BertForSequenceClassification,
    LongformerConfig,
    LongformerForSequenceClassification,
    PreTrainedModel,
    RobertaForSequenceClassification,
)

SIZES = {
    "vocab_size": 50, "hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 3, "intermediate_size": 40,
    "max_position_embeddings": 130, "pad_token_id": 1, "initializer_range": 0.25,
}  # fmt: skip
CLASSIFIERS = {
    "longformer": LongformerForSequenceClassification,
    "roberta": RobertaForSequenceClassification,
    "bert": BertForSequenceClassification,
}


def tiny(kind: type[PreTrainedModel], seed: int = 0, **changes: Any) -> PreTrainedModel:
    """Return a network of the class `kind` in evaluation mode; `changes` replace settings of its configuration."""
    torch.manual_seed(seed)
    windows = {"attention_window": [4, 8, 4]} if kind.config_class is LongformerConfig else {}
    return kind(kind.config_class(**SIZES | windows | changes)).eval()
