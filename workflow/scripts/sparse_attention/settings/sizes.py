"""Finds the sizes of models: from their folder, or from the registry before they are retrieved; works without torch."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

from sparse_attention.data.registry import open_dataset
from sparse_attention.data.sources.path import resolve
from sparse_attention.errors import InputError
from sparse_attention.models.limits import Limits, limits_of
from sparse_attention.settings.config import Source


@dataclass(frozen=True)
class Sizes:
    """Sizes of a Transformer encoder whose feed-forward layers are four times as wide as its hidden states.

    Attributes
    ----------
    layers, heads, head_dim : int
        Numbers of layers and heads, and size of a head.
    vocabulary, positions : int
        Number of embeddings of tokens, and the most tokens of a sequence; 0 where they are not known.
    """

    layers: int
    heads: int
    head_dim: int
    vocabulary: int = 0
    positions: int = 0

    @property
    def hidden(self) -> int:
        """The size of a hidden state."""
        return self.heads * self.head_dim

    def parameters(self, separate_global: bool = False) -> int:
        """Return the number of parameters, without biases; `separate_global`: with Longformer's own global maps."""
        maps = 15 if separate_global else 12
        return self.hidden * (self.vocabulary + self.positions + maps * self.layers * self.hidden)

    def operations(self, tokens: int, keys: int, decoded: float = 0.0) -> float:
        """Return the number of floating-point operations of a forward pass.

        Parameters
        ----------
        tokens : int
            Number of tokens.
        keys : int
            Number of keys that each of them attends to.
        decoded : float
            Share of the tokens that the language-model head decodes.
        """
        layer = 24 * self.hidden**2 + 4 * self.hidden * keys
        return tokens * (self.layers * layer + 2 * decoded * self.hidden * self.vocabulary)


def sizes_of(source: Source | None, folder: Path = Path()) -> Sizes | None:
    """Return the sizes of a model; None where they are unknown, as for an unlisted model that is not retrieved yet.

    Parameters
    ----------
    source : Source or None
        The model.
    folder : Path
        Folder of the workflow's resources.
    """
    if source is None:
        return None
    limits = None
    with contextlib.suppress(InputError, OSError):
        limits = _limits(source, folder)
    if limits and limits.layers and limits.heads and limits.head_dim:
        numbers = limits.layers, limits.heads, limits.head_dim
        return Sizes(*numbers, limits.vocabulary or 0, limits.positions or 0)
    listed = source.entry.get("dimensions")
    return Sizes(**listed) if listed else None


def _limits(source: Source, folder: Path) -> Limits:
    if source.entry["source"]["type"] == "path":
        return limits_of(resolve(source.entry["source"]["path"])[0])
    return limits_of(open_dataset(folder / source.receipt, verify=False).root)
