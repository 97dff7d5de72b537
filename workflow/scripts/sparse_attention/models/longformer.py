"""Makes a Longformer classifier from a BERT- or RoBERTa-like encoder, for sequences longer than the encoder's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import LongformerConfig, LongformerForSequenceClassification, PreTrainedModel

from sparse_attention.errors import InputError
from sparse_attention.models.limits import LONGFORMER_SOURCES, ROBERTA_LIKE, limits_of_model

CARRIED = (
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
    """What of an encoder becomes a Longformer.

    Attributes
    ----------
    layers : int
        How many of its layers are taken, from the first one on; from 1 on.
    window : int
        Longformer's attention window, even, from 4 on: half of it to either side.
    """

    layers: int
    window: int


def longformer_from_encoder(
    encoder: PreTrainedModel, layers: int, window: int, max_positions: int, labels: int = 2
) -> LongformerForSequenceClassification:
    """Make a Longformer classifier that starts from an encoder's weights; its head is new, drawn by torch's seed.

    Each global projection starts as a copy of the local one, so that with a window over the whole sequence the hidden
    states are the encoder's. Positions beyond the encoder's repeat its own from the first one on.

    Parameters
    ----------
    encoder : PreTrainedModel
        Of the family BERT or RoBERTa, with any head or none.
    layers : int
        How many of its layers to take, from the first one on.
    window : int
        Longformer's attention window, even: half of it to either side.
    max_positions : int
        The most tokens of a sequence.
    labels : int
        Classes of the head.

    Returns
    -------
    LongformerForSequenceClassification
        In evaluation mode.

    Raises
    ------
    InputError
        For another family, one without a padding token, or a number that is not allowed.
    """
    source: Any = encoder.base_model
    family = source.config.model_type
    if family not in LONGFORMER_SOURCES:
        raise InputError(f"encoder: no Longformer can be made from {family}; allowed: {', '.join(LONGFORMER_SOURCES)}")
    limits_of_model(source).check_layers(layers)
    if source.config.pad_token_id is None:
        raise InputError("encoder: pad_token_id is null; allowed: a whole number, after which positions are numbered")
    if window < 2 or window % 2:
        raise InputError(f"window: {window}; allowed: even numbers from 2 on")
    if max_positions < 1:
        raise InputError(f"max_positions: {max_positions}; allowed: from 1 on")
    config = _config(source.config, layers, window, max_positions)
    config.num_labels = labels
    result: Any = LongformerForSequenceClassification(config)
    for own, given in zip(result.longformer.encoder.layer, source.encoder.layer, strict=False):
        own.load_state_dict(_with_global_projections(given.state_dict()))
    embeddings = {name: tensor for name, tensor in source.embeddings.state_dict().items() if name.endswith("weight")}
    embeddings["LayerNorm.bias"] = source.embeddings.LayerNorm.bias
    unused = source.config.pad_token_id + 1  # rows before the first position's, in Longformer as in RoBERTa
    first_row = unused if family in ROBERTA_LIKE else 0
    table = embeddings["position_embeddings.weight"]
    embeddings["position_embeddings.weight"] = _repeated(table[first_row:], max_positions, unused)
    result.longformer.embeddings.load_state_dict(embeddings)
    return result.eval()


def _config(source: Any, layers: int, window: int, max_positions: int) -> LongformerConfig:
    """Return the encoder's settings as Longformer's, which numbers positions from `pad_token_id + 1` on."""
    return LongformerConfig(
        **{name: getattr(source, name) for name in CARRIED},
        sep_token_id=source.eos_token_id,
        num_hidden_layers=layers,
        attention_window=[window] * layers,
        max_position_embeddings=max_positions + source.pad_token_id + 1,
    )


def _with_global_projections(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Add to a layer's weights a copy of each projection as the global one."""
    copies = {}
    for name in ("query", "key", "value"):
        for kind in ("weight", "bias"):
            copies[f"attention.self.{name}_global.{kind}"] = weights[f"attention.self.{name}.{kind}"]
    return {**weights, **copies}


def _repeated(table: Tensor, rows: int, unused: int) -> Tensor:
    """Repeat a table's rows until there are `rows`, `(unused + rows, hidden)`; the unused rows before them are zero."""
    used = table[torch.arange(rows) % len(table)]
    return torch.cat([table.new_zeros(unused, table.shape[1]), used])
