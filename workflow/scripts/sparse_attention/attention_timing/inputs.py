"""Queries, keys and values that attention is timed on, also longer ones than the examples of a store."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sparse_attention.block_sparse.visible import Visible
from sparse_attention.errors import InputError
from sparse_attention.jobs.log import logger
from sparse_attention.qk.store import QKInfo, QKReader


@dataclass(frozen=True)
class Inputs:
    """What attention is given.

    Attributes
    ----------
    query : Tensor
        ``(1, heads, tokens, head_dim)``.
    key, value : Tensor
        ``(1, groups, tokens, head_dim)``; neighbouring heads of queries share one head of keys.
    visible : Visible
        What each query may see.
    """

    query: Tensor
    key: Tensor
    value: Tensor
    visible: Visible

    @property
    def keys_by_head(self) -> Tensor:
        """The keys of each head of queries, ``(heads, tokens, head_dim)``."""
        shared = self.query.shape[1] // self.key.shape[1]
        return self.key[0] if shared == 1 else self.key[0].repeat_interleave(shared, 0)


class Stored:
    """Queries and keys of one layer of a store, at any length up to the tokens that it holds.

    They start with the longest example. What it does not hold comes from further examples, one after another: the
    vectors are those of the model, but the model has never read them as one sequence. Values are random, because a
    store does not hold them.

    Parameters
    ----------
    folder : path-like
        A store of queries and keys.
    layer : int, optional
        By default, of the layers with full attention the one nearest to the middle; without any, the middle one.

    Attributes
    ----------
    info : QKInfo
        Description of the store.
    layer : int
        The layer.

    Raises
    ------
    InputError
        When the store cannot be read, or has no such layer.
    """

    def __init__(self, folder: str | os.PathLike[str], layer: int | None = None) -> None:
        self.reader = QKReader(folder)
        self.info = self.reader.info
        self.layer = _middle(self.info) if layer is None else layer
        if not 0 <= self.layer < self.info.layers:
            count = self.info.layers
            raise InputError(f"layer {layer}: {folder} has {count} layers; allowed: 0 to {count - 1}")
        own = [min(pair) for pair in zip(self.info.query_lengths, self.info.key_lengths, strict=True)]
        self._order = sorted(range(self.info.examples), key=lambda index: -own[index])

    @property
    def longest(self) -> int:
        """The tokens of the longest example; in cross-attention its queries or its keys, whichever are fewer."""
        return min(lengths[self._order[0]] for lengths in (self.info.query_lengths, self.info.key_lengths))

    @property
    def tokens(self) -> int:
        """The tokens of all examples together."""
        return min(sum(self.info.query_lengths), sum(self.info.key_lengths))

    def lengths(self, asked: Sequence[int]) -> list[int]:
        """Return those of the lengths asked for that the store can fill, or all its tokens if it can fill none.

        What is left out is said in the log.
        """
        held = self.tokens
        for length in asked:
            if length > held:
                logger.info("%s holds %d tokens: %d tokens are left out", self.reader.folder, held, length)
        fitting = [length for length in asked if length <= held]
        if not fitting:
            logger.info("%s: no length fits, so all its %d tokens are taken", self.reader.folder, held)
        return fitting or [held]

    def at(self, length: int) -> Inputs:
        """Return the first tokens of the examples one after another, the longest example first.

        Raises
        ------
        InputError
            When the store holds fewer tokens.
        """
        if length > self.tokens:
            text = f"{length} tokens: {self.reader.folder} holds {self.tokens}"
            raise InputError(f"{text}; allowed: up to {self.tokens}")
        queries: list[Tensor] = []
        keys: list[Tensor] = []
        for index in self._order:
            example = self.reader.example(self.layer, index)
            queries.append(example.queries)
            keys.append(example.keys)
            if all(sum(part.shape[1] for part in parts) >= length for parts in (queries, keys)):
                break
        query, key = (torch.cat(parts, 1)[None, :, :length].contiguous() for parts in (queries, keys))
        value = torch.randn(key.shape, generator=torch.Generator().manual_seed(0))
        return Inputs(query, key, value, seen(length, self.info.causal, self.info.local_windows[self.layer]))


def seen(length: int, causal: bool, local_window: int | None) -> Visible:
    """Return what each query of a sequence sees, as `masks.valid_pairs` does, without an array of all pairs."""
    places = torch.arange(length, dtype=torch.int32)
    reach = length if local_window is None else local_window
    last = places if causal else (places + reach).clamp(max=length - 1)
    return Visible(*(bound[None, None].contiguous() for bound in ((places - reach).clamp(min=0), last, places)))


def _middle(info: QKInfo) -> int:
    full = [layer for layer, window in enumerate(info.local_windows) if window is None]
    return min(full, key=lambda layer: abs(layer - info.layers // 2), default=info.layers // 2)
