"""Load, check and save masked language models whose attention is that of the module `attention`."""

from __future__ import annotations

import logging
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import AutoModelForMaskedLM, PreTrainedModel

from sparse_attention.errors import InputError, reason
from sparse_attention.models.attention import NAME, Attention, Observation, observed, set_attention
from sparse_attention.models.folders import read_config
from sparse_attention.models.hub import copy_tokenizer, load_model, offline
from sparse_attention.models.weights import HEADS as ALL_HEADS

logger = logging.getLogger(__name__)

HEADS = {
    "bert": ("cls",),
    "roberta": ("lm_head",),
    "xlm-roberta": ("lm_head",),
    "camembert": ("lm_head",),
    "modernbert": ("head", "decoder"),
}
"""Modules of each family's masked-language-model head, applied one after the other.

These heads can be initialised as the identity, and can decode single positions.
"""


def load_masked_lm(folder: Path | str, attention: str | Attention, head: str = "identity") -> PreTrainedModel:
    """Load a Hugging Face folder with entmax or softmax attention, in float32 and evaluation mode.

    Parameters
    ----------
    folder : Path or str
        A local model folder.
    attention : str or Attention
        softmax or entmax~A.
    head : str
        Initialisation of a head that the folder lacks. `identity`: the linear maps before the decoder are the identity,
        and only activation and normalisation are left; `random`: as the library initialises it.

    Raises
    ------
    InputError
        When the folder holds no usable model, weights other than the head's are missing, the model has no place for a
        weight, or it does not use the attention that is set.
    """
    attention = Attention.parse(attention) if isinstance(attention, str) else attention
    own = HEADS.get(str(read_config(folder).get("model_type")), ())
    # unused weights under the name of the model's own head are those of a changed model, and refused
    unused = (*(part for part in ALL_HEADS if part not in own), "cls.seq_relationship")
    what = "a masked language model"
    model: PreTrainedModel
    model, missing = load_model(AutoModelForMaskedLM, folder, what, unused, attn_implementation=NAME)
    set_attention(model, attention)
    _complete_head(model, missing, head, folder)
    check_attention_is_reached(model)
    return model


def check_attention_is_reached(model: PreTrainedModel) -> None:
    """Check on a small batch that every layer uses the attention of the module `attention`, and masks padding.

    Raises
    ------
    InputError
        When the model fails with this attention, a layer computes attention by itself, or queries attend to padding.
    """
    name, layers = f"{model.name_or_path or 'model'}: {type(model).__name__}", model.config.num_hidden_layers
    observations: list[Observation] = []
    try:
        with observed(observations.append):
            run_small_batch(model)
    except Exception as error:
        raise InputError(f"{name} fails when its attention is replaced: {reason(error)}") from error
    if len(observations) != layers:
        raise InputError(
            f"{name} computes attention by itself: {len(observations)} of {layers} layers use transformers' "
            "AttentionInterface; allowed: families that use it in every layer, such as BERT, RoBERTa or ModernBERT"
        )
    if any(observation.probabilities[1, :, :5, 5:].any() for observation in observations):
        text = "does not pass the padding mask to its attention"
        raise InputError(f"{name} {text}; allowed: families that do, such as BERT, RoBERTa or ModernBERT")


def run_small_batch(model: PreTrainedModel) -> None:
    """Run the base model on two blocks of 8 tokens, the last 3 of the second block being padding."""
    tokens = torch.arange(5, 21, device=model.device).remainder(model.config.vocab_size).reshape(2, 8)
    real = torch.ones_like(tokens)
    real[1, 5:] = 0
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            base_output(model, tokens, real)
    finally:
        model.train(was_training)


def base_output(model: PreTrainedModel, tokens: Tensor, real: Tensor) -> Tensor:
    """Return the hidden states of the last layer, without decoding them.

    Parameters
    ----------
    tokens : Tensor
        int64 ``(blocks, tokens)``.
    real : Tensor
        int64 ``(blocks, tokens)``, 0 for padding.

    Returns
    -------
    Tensor
        ``(blocks, tokens, hidden)``.
    """
    output: Tensor = model.base_model(input_ids=tokens, attention_mask=real)[0]
    return output


def logits_at(model: PreTrainedModel, tokens: Tensor, real: Tensor, wanted: Tensor) -> Tensor:
    """Return the logits of the `wanted` positions.

    Families in `HEADS` decode these positions only, which at 15 % masked tokens saves most of the head's time and
    memory.

    Parameters
    ----------
    tokens, real : Tensor
        See `base_output`.
    wanted : Tensor
        bool ``(blocks, tokens)``.

    Returns
    -------
    Tensor
        ``(positions, vocabulary)``, the positions in the order of blocks and tokens.
    """
    if model.config.model_type not in HEADS:
        full: Tensor = model(input_ids=tokens, attention_mask=real).logits
        return full[wanted]
    hidden = base_output(model, tokens, real)[wanted]
    for part in HEADS[model.config.model_type]:
        hidden = getattr(model, part)(hidden)
    return hidden


def set_dropout(model: PreTrainedModel, probability: float) -> None:
    """Replace every dropout probability of a loaded model; its configuration, which is saved, does not change."""
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = probability
        for name in ("attention_dropout", "dropout"):  # ModernBERT and Longformer store the probability as a number
            if isinstance(getattr(module, name, None), float):
                setattr(module, name, probability)


def save_masked_lm(model: PreTrainedModel, source: Path | str, folder: Path | str) -> None:
    """Write a Hugging Face folder: weights as safetensors, configuration, and the tokenizer of the folder `source`."""
    with offline():
        model.save_pretrained(folder)
    copy_tokenizer(source, folder)


def _complete_head(model: PreTrainedModel, missing: set[str], head: str, folder: Path | str) -> None:
    """Initialise a missing head; refuse a folder that lacks other weights."""
    body = {key for key in missing if key.startswith(f"{model.base_model_prefix}.")}
    if body:
        raise InputError(f"{folder}: {len(body)} weights are missing, such as {min(body)}; allowed: a complete model")
    if not missing:
        return
    logger.info("%s: the masked-language-model head is missing or incomplete; it is initialised as %s", folder, head)
    if head == "random":
        return
    parts = HEADS.get(model.config.model_type)
    if parts is None:
        raise InputError(
            f"train_mlm.head: identity is not allowed for the family {model.config.model_type}; "
            f"allowed: random, or a model of {', '.join(HEADS)}"
        )
    decoder = model.get_output_embeddings()
    with torch.no_grad():
        for module in (child for part in parts for child in getattr(model, part).modules()):
            if isinstance(module, nn.Linear):
                if module is not decoder:
                    module.weight.copy_(torch.eye(*module.weight.shape))
                if module.bias is not None:
                    module.bias.zero_()
            elif isinstance(module, nn.LayerNorm):
                module.reset_parameters()
