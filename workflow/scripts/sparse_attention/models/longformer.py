"""Make a Longformer classifier for long sequences from a BERT- or RoBERTa-like encoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import LongformerConfig, LongformerForSequenceClassification, PreTrainedModel

from sparse_attention.errors import InputError
from sparse_attention.models.limits import LONGFORMER_SOURCES, ROBERTA_LIKE, limits_of_model

COPIED_SETTINGS = (
    "vocab_size",
    "hidden_size",
    "num_attention_heads",
    "intermediate_size",
    "hidden_act",
    "hidden_dropout_prob",
    "attention_probs_dropout_prob",
    "type_vocab_size",
    "initializer_range",
    "layer_norm_eps",
    "pad_token_id",
    "bos_token_id",
    "eos_token_id",
)


@dataclass(frozen=True)
class LongformerShape:
    """Layers and attention window of a Longformer that is made from an encoder.

    Attributes
    ----------
    layers : int
        Number of encoder layers that are taken, from the first one on; at least 1.
    window : int
        Longformer's attention window in tokens, half of it to either side; even and at least 4.
    """

    layers: int
    window: int


def longformer_from_encoder(
    encoder: PreTrainedModel, layers: int, window: int, max_positions: int, labels: int = 2
) -> LongformerForSequenceClassification:
    """Make a Longformer classifier from an encoder's weights, with a new head from torch's global seed.

    Each global projection starts as a copy of the local one, so that with a window over the whole sequence the hidden
    states are the encoder's. Position embeddings beyond the encoder's length repeat its own from the first one on.

    Parameters
    ----------
    encoder : PreTrainedModel
        Model of one of `LONGFORMER_SOURCES`, with any head or none.
    layers : int
        Number of its layers to take, from the first one on.
    window : int
        Longformer's attention window in tokens, even, half of it to either side.
    max_positions : int
        Longest sequence in tokens, special tokens included.
    labels : int
        Number of classes of the head.

    Returns
    -------
    LongformerForSequenceClassification
        In evaluation mode.

    Raises
    ------
    InputError
        For another family, an encoder without a padding token, or a number that is not allowed.
    """
    source: Any = encoder.base_model
    family, name = source.config.model_type, encoder.name_or_path or "encoder"
    if family not in LONGFORMER_SOURCES:
        raise InputError(f"{name}: no Longformer can be made from {family}; allowed: {', '.join(LONGFORMER_SOURCES)}")
    limits_of_model(source).check_layers(layers)
    if source.config.pad_token_id is None:
        allowed = "a whole number, since a Longformer counts positions from the one after it"
        raise InputError(f"{name}: pad_token_id: null is not allowed; allowed: {allowed}")
    if window < 2 or window % 2:
        raise InputError(f"train_classifier.longformer.window: {window} is not allowed; allowed: even, from 2 on")
    if max_positions < 1:
        raise InputError(f"tokenise_code.max_tokens: {max_positions} is not allowed; allowed: from 1 on")
    config = _config(source.config, layers, window, max_positions)
    config.num_labels = labels
    result: Any = LongformerForSequenceClassification(config)
    for own, given in zip(result.longformer.encoder.layer, source.encoder.layer, strict=False):
        own.load_state_dict(_with_global_projections(given.state_dict()))
    embeddings = {name: tensor for name, tensor in source.embeddings.state_dict().items() if name.endswith("weight")}
    embeddings["LayerNorm.bias"] = source.embeddings.LayerNorm.bias
    unused = source.config.pad_token_id + 1  # Longformer, like RoBERTa, uses no rows up to the padding id
    first_row = unused if family in ROBERTA_LIKE else 0
    table = embeddings["position_embeddings.weight"]
    embeddings["position_embeddings.weight"] = _repeated(table[first_row:], max_positions, unused)
    result.longformer.embeddings.load_state_dict(embeddings)
    return result.eval()


def _config(source: Any, layers: int, window: int, max_positions: int) -> LongformerConfig:
    """Return a Longformer's configuration with the encoder's settings; positions start at `pad_token_id + 1`."""
    return LongformerConfig(
        **{name: getattr(source, name) for name in COPIED_SETTINGS},
        sep_token_id=source.eos_token_id,
        num_hidden_layers=layers,
        attention_window=[window] * layers,
        max_position_embeddings=max_positions + source.pad_token_id + 1,
    )


def _with_global_projections(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return a layer's weights with a copy of each projection as its global projection."""
    copies = {}
    for name in ("query", "key", "value"):
        for kind in ("weight", "bias"):
            copies[f"attention.self.{name}_global.{kind}"] = weights[f"attention.self.{name}.{kind}"]
    return {**weights, **copies}


def _repeated(table: Tensor, rows: int, unused: int) -> Tensor:
    """Repeat a table's rows until there are `rows`, after `unused` rows of zeros: ``(unused + rows, hidden)``."""
    used = table[torch.arange(rows) % len(table)]
    return torch.cat([table.new_zeros(unused, table.shape[1]), used])
