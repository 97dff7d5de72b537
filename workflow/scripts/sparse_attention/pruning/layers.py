"""Run the modules of a Hugging Face classifier one by one, with attention that can hide and score tokens."""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor
from transformers import PreTrainedModel

from sparse_attention.errors import InputError
from sparse_attention.models.limits import PRUNABLE
from sparse_attention.pruning.cls_attention import GlobalRow, cls_global_row
from sparse_attention.pruning.scored_attention import Attended, attend, unscored_attention

Projected = tuple[Tensor, Tensor, Tensor]


class Layer(NamedTuple):
    """One encoder layer.

    Attributes
    ----------
    module
        The layer of transformers.
    heads : int
        Number of attention heads.
    window : int, optional
        Longformer's attention window; None for full attention.
    drop : float
        Dropout probability of the attention probabilities in training.
    """

    module: Any
    heads: int
    window: int | None
    drop: float

    def project(self, states: Tensor) -> Projected:
        """Return queries, keys and values, each of the shape of `states`, ``(..., hidden)``."""
        attention = self.module.attention.self
        return attention.query(states), attention.key(states), attention.value(states)

    def attend(self, states: Tensor, projected: Projected, positions: Tensor, log_keep: Tensor) -> Attended:
        """Compute the layer's attention.

        Parameters
        ----------
        states : Tensor
            Input of the layer, ``(batch, n, hidden)``.
        projected : tuple of Tensor
            Queries, keys and values from `project`, ``(batch, n, hidden)`` each.
        positions, log_keep : Tensor
            ``(batch, n)``, see `scored_attention.attend`.
        """
        drop = self.drop if self.module.training else 0.0
        query, key, value = (self._by_head(tensor) for tensor in projected)
        row = self._global_row(states, log_keep, drop)
        return attend(query, key, value, positions, log_keep, self.window, row, drop)

    def attend_unscored(self, states: Tensor, projected: Projected, positions: Tensor, log_keep: Tensor) -> Tensor:
        """Compute the context alone, ``(batch, heads, n, head_dim)``, without dropout; arguments as for `attend`."""
        query, key, value = (self._by_head(tensor) for tensor in projected)
        row = self._global_row(states, log_keep, 0.0)
        return unscored_attention(query, key, value, positions, log_keep, self.window, row)

    def finish(self, context: Tensor, states: Tensor) -> Tensor:
        """Return the output of the layer from the attention's context and the layer's input, all ``(..., hidden)``."""
        attended = self.module.attention.output(context, states)
        result: Tensor = self.module.output(self.module.intermediate(attended), attended)
        return result

    def cls_row(self, states: Tensor, log_keep: Tensor, drop: float = 0.0) -> GlobalRow:
        """Compute the attention of CLS alone, with global projections in a Longformer; arguments as for `attend`."""
        suffix = "" if self.window is None else "_global"
        names = (f"{name}{suffix}" for name in ("query", "key", "value"))
        query, key, value = (getattr(self.module.attention.self, name) for name in names)
        own = query(states[:, 0]).unflatten(-1, (self.heads, -1))
        return cls_global_row(states, own, key.weight, value.weight, value.bias, log_keep, drop)

    def _global_row(self, states: Tensor, log_keep: Tensor, drop: float) -> GlobalRow | None:
        return None if self.window is None else self.cls_row(states, log_keep, drop)

    def _by_head(self, tensor: Tensor) -> Tensor:
        return tensor.unflatten(-1, (self.heads, -1)).transpose(1, 2)


def layers_of(classifier: PreTrainedModel) -> list[Layer]:
    """Return the encoder layers of a Longformer, RoBERTa or BERT classifier.

    Raises
    ------
    InputError
        For another family.
    """
    config: Any = classifier.config
    if config.model_type not in PRUNABLE:
        raise InputError(f"classifier: tokens of {config.model_type} cannot be pruned; allowed: {', '.join(PRUNABLE)}")
    encoder: Any = classifier.base_model.encoder
    modules = list(encoder.layer)
    windows = config.attention_window if config.model_type == "longformer" else [None] * len(modules)
    return [
        Layer(module, config.num_attention_heads, window, _drop(module.attention.self.dropout))
        for module, window in zip(modules, windows, strict=True)
    ]


def _drop(dropout: Any) -> float:
    """Return a dropout probability, which Longformer stores as a number and the other families as a module."""
    return float(getattr(dropout, "p", dropout))


def merge_heads(context: Tensor) -> Tensor:
    """Return ``(batch, heads, n, head_dim)`` as ``(batch, n, hidden)``."""
    return context.transpose(1, 2).flatten(2)


def classify(classifier: Any, cls_states: Tensor) -> Tensor:
    """Return the logits, ``(batch, labels)``, from the last layer's states of CLS, ``(batch, hidden)``."""
    sequence = cls_states[:, None]
    if classifier.config.model_type == "bert":
        sequence = classifier.dropout(classifier.base_model.pooler(sequence))
    logits: Tensor = classifier.classifier(sequence)
    return logits
