"""Loading, checking and saving masked language models whose attention is ours."""

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

# Where the head of each family lies. What stands here can be identity-initialised and decodes single positions.
HEADS = {
    "bert": ("cls",),
    "roberta": ("lm_head",),
    "xlm-roberta": ("lm_head",),
    "camembert": ("lm_head",),
    "modernbert": ("head", "decoder"),
}


def load_masked_lm(folder: Path | str, attention: str | Attention, head: str = "identity") -> PreTrainedModel:
    """Load a Hugging Face folder with our attention in place of its own, in float32 and evaluation mode.

    Parameters
    ----------
    folder : Path or str
        A local model folder.
    attention : str or Attention
        softmax or entmax~A.
    head : str
        How a head that the folder lacks starts. `identity`: the transform before the decoder does nothing but its
        activation and normalisation; `random`: as the library initialises it.

    Raises
    ------
    InputError
        When there is no usable model, weights other than the head's are missing, there are weights that have no place,
        or its attention is not reached.
    """
    attention = Attention.parse(attention) if isinstance(attention, str) else attention
    own = HEADS.get(str(read_config(folder).get("model_type")), ())
    # a head of its own name that the model has no place for is that of a changed model
    unused = (*(part for part in ALL_HEADS if part not in own), "cls.seq_relationship")
    what = "a masked language model"
    model: PreTrainedModel
    model, missing = load_model(AutoModelForMaskedLM, folder, what, unused, attn_implementation=NAME)
    set_attention(model, attention)
    _complete_head(model, missing, head, folder)
    check_attention_is_reached(model)
    return model


def check_attention_is_reached(model: PreTrainedModel) -> None:
    """Refuse a model whose attention does not come to us, or to whose attention padding does not come.

    Raises
    ------
    InputError
        Telling which family it is and what went wrong.
    """
    name, layers = f"{model.name_or_path or 'model'}: {type(model).__name__}", model.config.num_hidden_layers
    tokens = torch.arange(5, 21, device=model.device).remainder(model.config.vocab_size).reshape(2, 8)
    real = torch.ones_like(tokens)
    real[1, 5:] = 0
    seen: list[Observation] = []
    was_training = model.training
    model.eval()
    try:
        with observed(seen.append), torch.no_grad():
            model.base_model(input_ids=tokens, attention_mask=real)
    except Exception as error:
        raise InputError(f"{name} fails when its attention is replaced: {reason(error)}") from error
    finally:
        model.train(was_training)
    if len(seen) != layers:
        raise InputError(
            f"{name} computes attention by itself: {len(seen)} of {layers} layers go through transformers' "
            "AttentionInterface; allowed: families that do in every layer, such as BERT, RoBERTa or ModernBERT"
        )
    if any(observation.probabilities[1, :, :5, 5:].any() for observation in seen):
        raise InputError(f"{name} does not pass its padding mask to the attention, so padding would be attended to")


def base_output(model: PreTrainedModel, tokens: Tensor, real: Tensor) -> Tensor:
    """Return the last hidden states (blocks, tokens, hidden), without decoding them."""
    output: Tensor = model.base_model(input_ids=tokens, attention_mask=real)[0]
    return output


def logits_at(model: PreTrainedModel, tokens: Tensor, real: Tensor, wanted: Tensor) -> Tensor:
    """Return the logits (positions, vocabulary) of the `wanted` positions, a boolean (blocks, tokens).

    Families in `HEADS` decode those only, which at 15 % masked tokens saves most of the head's time and memory.
    """
    if model.config.model_type not in HEADS:
        full: Tensor = model(input_ids=tokens, attention_mask=real).logits
        return full[wanted]
    hidden = base_output(model, tokens, real)[wanted]
    for part in HEADS[model.config.model_type]:
        hidden = getattr(model, part)(hidden)
    return hidden


def set_dropout(model: PreTrainedModel, probability: float) -> None:
    """Replace every dropout probability for this process; the configuration that is saved keeps the model's own."""
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = probability
        for name in ("attention_dropout", "dropout"):  # ModernBERT and Longformer keep a plain number
            if isinstance(getattr(module, name, None), float):
                setattr(module, name, probability)


def save_masked_lm(model: PreTrainedModel, source: Path | str, folder: Path | str) -> None:
    """Write an ordinary Hugging Face folder: weights as safetensors, configuration, and the tokenizer of `source`."""
    with offline():
        model.save_pretrained(folder)
    copy_tokenizer(source, folder)


def _complete_head(model: PreTrainedModel, missing: set[str], head: str, folder: Path | str) -> None:
    """Accept a missing head, and initialise it; refuse a folder that lacks anything else."""
    body = {key for key in missing if key.startswith(f"{model.base_model_prefix}.")}
    if body:
        raise InputError(f"{folder}: {len(body)} weights are missing, such as {min(body)}; allowed: a complete model")
    if not missing:
        return
    logger.info("%s has no complete masked-language-model head: it starts as %s", folder, head)
    if head == "random":
        return
    parts = HEADS.get(model.config.model_type)
    if parts is None:
        raise InputError(
            f"model.head: identity is not available for {model.config.model_type}; "
            f"allowed: random, or one of {', '.join(HEADS)}"
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
