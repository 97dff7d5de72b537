"""Entmax and softmax attention behind transformers' `AttentionInterface`, with observers of its probabilities.

A model whose `config._attn_implementation` is `NAME` reads `config.sparse_attention = {"kind": …, "alpha": …}` at
every call: the saved `config.json` carries it, and changing it changes the model.

The module also registers how transformers makes the mask: boolean, True where a query may attend. Without this
registration transformers would pass no mask, and queries would attend to padding.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.masking_utils import sdpa_mask

from sparse_attention.attention.entmax import entmax
from sparse_attention.block_sparse.dispatch import attend as attend_exactly
from sparse_attention.block_sparse.dispatch import use_kernels
from sparse_attention.block_sparse.visible import Visible
from sparse_attention.errors import InputError
from sparse_attention.files.segments import pairs

NAME = "sparse_attention"


@dataclass(frozen=True)
class Attention:
    """The function that turns attention scores into probabilities.

    Attributes
    ----------
    kind : str
        entmax or softmax.
    alpha : float
        In (1, 2] for entmax (2 is sparsemax), 1 for softmax.
    """

    kind: str
    alpha: float

    @classmethod
    def parse(cls, text: str, key: str = "attentions") -> Attention:
        """Read `softmax` or `entmax~A`, which stands at `key` for error messages.

        Raises
        ------
        InputError
            When `text` is neither, or A is not in (1, 2].
        """
        if text == "softmax":
            return cls("softmax", 1.0)
        number = dict(pairs(text)).get("entmax", "")
        with contextlib.suppress(ValueError):
            if text == f"entmax~{number}" and 1 < float(number) <= 2:
                return cls("entmax", float(number))
        raise InputError(f"{key}: {text!r} is not allowed; allowed: softmax, entmax~A with A in (1, 2]")


@dataclass(frozen=True)
class Observation:
    """Inputs and probabilities of one attention layer in one call.

    Attributes
    ----------
    module : nn.Module
        The attention layer.
    queries, keys, values : Tensor
        ``(batch, heads, tokens, head_dim)``, queries and keys after rotary embeddings, before the scaling.
    mask : Tensor or None
        bool ``(batch, 1, queries, keys)``, True where a query may attend; None when it may attend everywhere.
    probabilities : Tensor
        ``(batch, heads, queries, keys)``, before dropout.
    """

    module: nn.Module
    queries: Tensor
    keys: Tensor
    values: Tensor
    mask: Tensor | None
    probabilities: Tensor


_observers: list[Callable[[Observation], None]] = []
_last_mask: tuple[Tensor | None, Visible | None] = (None, None)


def choose_kernels(kernels: str, device: str) -> dict[str, str]:
    """Choose what computes the attention of this process's models, and say what it is, as `dispatch.use_kernels` does.

    On a GPU these are PyTorch's operations, until the Triton kernels have been measured in training.
    """
    return use_kernels(kernels if torch.device(device).type == "cpu" else "reference", device)


def set_attention(model: PreTrainedModel, attention: Attention) -> None:
    """Set the attention that `model`, whose `_attn_implementation` is `NAME`, uses from its next call on."""
    model.config.sparse_attention = asdict(attention)


@contextlib.contextmanager
def observed(observer: Callable[[Observation], None]) -> Iterator[None]:
    """Call `observer` for every attention layer, in the order in which they run, inside a `with` block."""
    _observers.append(observer)
    try:
        yield
    finally:
        _observers.remove(observer)


def attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None = None,
    scaling: float | None = None,
    dropout: float = 0.0,
    **options: Any,
) -> tuple[Tensor, Tensor | None]:
    """Compute a layer's attention, with the arguments and results of transformers' `AttentionInterface`.

    Parameters
    ----------
    module : nn.Module
        The attention layer; its `config.sparse_attention` names the attention.
    query, key, value : Tensor
        ``(batch, heads, tokens, head_dim)``.
    attention_mask : Tensor, optional
        ``(batch, 1, queries, keys)``: bool, True where a query may attend, or a bias that is added to the scores.
    scaling : float, optional
        Factor of the scores; None is `1 / sqrt(head_dim)`.
    dropout : float
        Dropout of the probabilities.
    **options
        Of these only `output_attentions` is used.

    Returns
    -------
    output : Tensor
        ``(batch, tokens, heads, head_dim)``.
    probabilities : Tensor or None
        ``(batch, heads, queries, keys)``; None where a kernel computes the output without holding them.
    """
    settings: dict[str, Any] = module.config.sparse_attention  # type: ignore[union-attr, assignment]
    scaling = query.shape[-1] ** -0.5 if scaling is None else scaling
    if not (_observers or options.get("output_attentions")):
        if settings["kind"] == "softmax":
            output = nn.functional.scaled_dot_product_attention(
                query, key, value, attn_mask=attention_mask, dropout_p=dropout, scale=scaling
            )
            return output.transpose(1, 2).contiguous(), None
        if not dropout and query.device.type == "cpu":
            entmax_output = _attend_by_kernel(query, key, value, attention_mask, scaling, settings["alpha"])
            if entmax_output is not None:
                return entmax_output, None
    return attend_explicitly(module, query, key, value, attention_mask, scaling, dropout)


@torch.compiler.disable
def _attend_by_kernel(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scaling: float, alpha: float
) -> Tensor | None:
    """Compute entmax attention without holding the probabilities; None for a mask that the kernel does not take."""
    global _last_mask
    if mask is not None:
        if mask.dtype != torch.bool:
            return None
        if _last_mask[0] is not mask:  # all layers of a call share their mask
            _last_mask = mask, Visible.of_mask(mask)
        if _last_mask[1] is None:
            return None
    visible = None if mask is None else _last_mask[1]
    output = attend_exactly(query, key, value, None, alpha, visible, scaling).output
    return output.transpose(1, 2).contiguous()


@torch.compiler.disable  # a compiled model would be compiled anew for every alpha
def attend_explicitly(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    scaling: float,
    dropout: float,
    support: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Compute the probabilities, pass them to the observers, and return the output and the probabilities.

    Parameters
    ----------
    module, query, key, value, mask, scaling, dropout
        See `attend`.
    support : Tensor, optional
        bool ``(batch, heads, queries, keys)``: the pairs to attend to, among those of `mask`; by default all of them.
    """
    settings: dict[str, Any] = module.config.sparse_attention  # type: ignore[union-attr, assignment]
    scores = _masked(torch.matmul(query * scaling, key.transpose(2, 3)), mask if support is None else support)
    probabilities = _softmax(scores) if settings["kind"] == "softmax" else entmax(scores, settings["alpha"])
    for observer in _observers:
        observer(Observation(module, query, key, value, mask, probabilities))
    weights = nn.functional.dropout(probabilities, dropout) if dropout else probabilities
    return torch.matmul(weights, value).transpose(1, 2).contiguous(), probabilities


def _masked(scores: Tensor, mask: Tensor | None) -> Tensor:
    if mask is None:
        return scores
    if mask.dtype == torch.bool:
        return scores.masked_fill(~mask, -torch.inf)
    # Some models add biases of their own; transformers marks a forbidden key with the lowest number of the dtype.
    return (scores + mask).masked_fill(mask <= torch.finfo(mask.dtype).min / 2, -torch.inf)


def _softmax(scores: Tensor) -> Tensor:
    # A query without any allowed key (padding beside a local window) gets zeros, as with entmax.
    return torch.softmax(scores.float(), dim=-1).nan_to_num(0.0).to(scores.dtype)


def boolean_mask(*arguments: Any, **options: Any) -> Tensor | None:
    """Make transformers' boolean mask, also a causal one, which transformers may else replace by a flag."""
    return sdpa_mask(*arguments, **{**options, "allow_is_causal_skip": False})


AttentionInterface.register(NAME, attend)
AttentionMaskInterface.register(NAME, boolean_mask)
