"""The shape of queries and keys: that of a store, or the one that a language model's `config.json` tells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sparse_attention.errors import InputError
from sparse_attention.models.folders import CONFIG
from sparse_attention.models.limits import limits_of
from sparse_attention.qk.store import SIDECAR, QKReader


@dataclass(frozen=True)
class AttentionShape:
    """Shape of the queries and keys that projections and centroids must fit.

    Attributes
    ----------
    layers, heads, head_dim : int
        Numbers of layers and heads, and size of a head.
    query_lengths, key_lengths : tuple of int
        Numbers of queries and of keys of each example of a store; empty for a model, which has as many of both.
    where : str
        What has this shape, for error messages.
    """

    layers: int
    heads: int
    head_dim: int
    query_lengths: tuple[int, ...] = ()
    key_lengths: tuple[int, ...] = ()
    where: str = "the queries and keys"

    def differences(self, sizes: Mapping[str, int]) -> list[str]:
        """Return a text about those of `sizes`, by the name of the attribute, that differ from it; none is no text."""
        own = {name: getattr(self, name) for name in sizes}
        wrong = [f"{name} is {size}, must be {own[name]}" for name, size in sizes.items() if size != own[name]]
        return [f"{'; '.join(wrong)}, as in {self.where}"] if wrong else []


def read_shape(folder: Path | str) -> AttentionShape:
    """Return the shape of the queries and keys in a store, or of those that the model in a folder computes.

    No queries and keys are extracted, and no model is loaded.

    Raises
    ------
    InputError
        When the store or the model's `config.json` is damaged, when the latter does not tell the shape, or when the
        model has fewer key heads than query heads.
    """
    if (Path(folder) / SIDECAR).exists():
        info = QKReader(folder).info
        where = f"the queries and keys in {folder}"
        return AttentionShape(info.layers, info.heads, info.head_dim, info.query_lengths, info.key_lengths, where)
    limits, path = limits_of(folder), Path(folder) / CONFIG
    if limits.layers is None or limits.heads is None or limits.head_dim is None:
        text = "does not tell the numbers of layers and heads and the hidden size"
        raise InputError(f"{path}: {text}; allowed: num_hidden_layers, num_attention_heads and hidden_size")
    if limits.key_heads not in (None, limits.heads):
        text = f"{limits.heads} query heads and {limits.key_heads} key heads"
        raise InputError(f"{path}: {text}; allowed: one key head per query head")
    return AttentionShape(limits.layers, limits.heads, limits.head_dim, where=limits.name)
