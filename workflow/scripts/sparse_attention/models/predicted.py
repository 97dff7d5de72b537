"""Attention to predicted supports behind transformers' `AttentionInterface`.

A model whose `config._attn_implementation` is `PREDICTED` asks the predictor of each attention layer which keys every
query attends to, and computes the attention of `config.sparse_attention` over these keys alone. With `IN_BLOCKS` each
layer computes its attention itself, over blocks that hold these keys. `model.set_attn_implementation(NAME)` of the
module `attention` switches back to all keys.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel

from sparse_attention.errors import InputError
from sparse_attention.models.attention import NAME, Observation, attend_explicitly, boolean_mask, observed
from sparse_attention.models.masked_lm import run_small_batch

PREDICTED = "predicted_sparse_attention"
IN_BLOCKS = "predicted_block_sparse_attention"

Predict = Callable[[Tensor, Tensor, Tensor], Tensor]
"""The predictor of a layer: from queries and keys ``(batch, heads, tokens, head_dim)`` and the pairs that attention may
use, bool ``(batch, 1, queries, keys)``, to those that it uses, bool ``(batch, heads, queries, keys)``."""

Attend = Callable[[Tensor, Tensor, Tensor, Tensor | None, float], Tensor]
"""The attention of a layer over blocks: from queries, keys and values, the mask of `Predict` or None for all pairs, and
the factor of the scores, to the output ``(batch, heads, tokens, head_dim)``."""


def set_predictors(model: PreTrainedModel, predictors: Sequence[Predict], in_blocks: Sequence[Attend] = ()) -> None:
    """Give every attention layer its predictor, and let the model use them.

    Parameters
    ----------
    model : PreTrainedModel
        A model whose layers use transformers' `AttentionInterface`, see `check_attention_is_reached`.
    predictors : sequence of callable
        One for each layer, in the order in which the layers run.
    in_blocks : sequence of callable
        For each layer its attention over blocks; without any, `IN_BLOCKS` cannot be set.

    Raises
    ------
    InputError
        When there is not one predictor for each layer, or layers share one module.
    """
    modules = attention_modules(model)
    if len(modules) != len(predictors):
        text = f"{len(predictors)} layers of predictors for {len(modules)} layers of attention"
        raise InputError(f"{model.name_or_path or 'model'}: {text}; allowed: as many as the model has")
    for layer, module in enumerate(modules):
        module.predict_support = predictors[layer]  # type: ignore[assignment]
        module.attend_in_blocks = in_blocks[layer] if in_blocks else None  # type: ignore[assignment]
    model.set_attn_implementation(PREDICTED)


def attention_modules(model: PreTrainedModel) -> list[nn.Module]:
    """Return the attention layers in the order in which they run, found by running a small batch.

    Raises
    ------
    InputError
        When a module is used in more than one layer.
    """
    seen: list[nn.Module] = []

    def note(observation: Observation) -> None:
        seen.append(observation.module)

    before = model.config._attn_implementation
    model.set_attn_implementation(NAME)
    try:
        with observed(note):
            run_small_batch(model)
    finally:
        model.set_attn_implementation(before)
    if len(set(map(id, seen))) != len(seen):
        text = "layers share one attention module"
        raise InputError(f"{model.name_or_path or 'model'}: {text}; allowed: a module of its own for each layer")
    return seen


def attend_to_predicted(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None = None,
    scaling: float | None = None,
    dropout: float = 0.0,
    **_: Any,
) -> tuple[Tensor, Tensor | None]:
    """Compute a layer's attention to the predicted support; arguments and results are those of `attention.attend`.

    A query without any predicted key gets zeros.

    Raises
    ------
    InputError
        When the layer has no predictor, or the model adds biases to its scores instead of masking them.
    """
    predict: Predict | None = getattr(module, "predict_support", None)
    if predict is None:
        raise InputError(
            f"attn_implementation: {PREDICTED}: the model has no predictors; allowed: after set_predictors"
        )
    if attention_mask is None:
        attention_mask = torch.ones(
            query.shape[0], 1, query.shape[2], key.shape[2], dtype=torch.bool, device=query.device
        )
    if attention_mask.dtype != torch.bool:
        text = "biases are added to the scores"
        raise InputError(f"{type(module).__name__}: {text}; allowed: models with a mask of True and False")
    with torch.no_grad():
        support = predict(query.detach(), key.detach(), attention_mask)
    scaling = query.shape[-1] ** -0.5 if scaling is None else scaling
    return attend_explicitly(module, query, key, value, attention_mask, scaling, dropout, support)


def attend_in_blocks(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None = None,
    scaling: float | None = None,
    dropout: float = 0.0,
    **_: Any,
) -> tuple[Tensor, None]:
    """Compute a layer's attention over blocks; arguments and results are those of `attention.attend`.

    Raises
    ------
    InputError
        When the layer has no such attention, the model adds biases to its scores, or probabilities are dropped out.
    """
    attend: Attend | None = getattr(module, "attend_in_blocks", None)
    if attend is None:
        text = "the model has no attention over blocks"
        raise InputError(f"attn_implementation: {IN_BLOCKS}: {text}; allowed: a model of load_sparse_model")
    if attention_mask is not None and attention_mask.dtype != torch.bool:
        text = "biases are added to the scores"
        raise InputError(f"{type(module).__name__}: {text}; allowed: models with a mask of True and False")
    if dropout:
        text = f"a dropout of {dropout:g} of the probabilities, which are not held"
        raise InputError(f"attn_implementation: {IN_BLOCKS}: {text}; allowed: 0, or model.eval()")
    output = attend(query, key, value, attention_mask, query.shape[-1] ** -0.5 if scaling is None else scaling)
    return output.transpose(1, 2).contiguous(), None


AttentionInterface.register(PREDICTED, attend_to_predicted)
AttentionInterface.register(IN_BLOCKS, attend_in_blocks)
AttentionMaskInterface.register(IN_BLOCKS, boolean_mask)
AttentionMaskInterface.register(PREDICTED, boolean_mask)
