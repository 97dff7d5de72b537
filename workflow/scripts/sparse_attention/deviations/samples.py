"""A few layers and examples of a split in memory, and changed copies: cut to other lengths, causal, rescaled."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import numpy as np

from sparse_attention.evaluation.examples import Split
from sparse_attention.projections.batches import Pairs
from sparse_attention.projections.model import Projections
from sparse_attention.qk.gold import Gold, GoldReader, gold_of
from sparse_attention.qk.store import Example, QKInfo, QKReader

Item = TypeVar("Item")


@dataclass(frozen=True)
class Memory(Generic[Item]):
    """Examples by layer in memory, with the methods of `QKReader` and `GoldReader`."""

    info: QKInfo
    items: tuple[tuple[Item, ...], ...]

    def example(self, layer: int, i: int) -> Item:
        """Return example `i` of `layer`."""
        return self.items[layer][i]

    def examples(self, layer: int) -> Iterator[Item]:
        """Yield the examples of `layer` in order."""
        return iter(self.items[layer])


class MemorySplit(Split):
    """A `Split` in memory."""

    def __init__(self, qk: Memory[Example], gold: Memory[Gold], projections: Projections | None = None) -> None:
        self.qk, self.gold = qk, gold
        self.info, self.block_size = qk.info, 1
        self.projections = projections or Projections.identity()


@dataclass(frozen=True)
class Sample:
    """Queries, keys and gold supports of some layers and examples of a split, which are numbered from 0."""

    qk: Memory[Example]
    gold: Memory[Gold]

    @classmethod
    def read(cls, qk: str | os.PathLike[str], gold: str | os.PathLike[str], layers: int, examples: int) -> Sample:
        """Read evenly spread layers and examples of a split.

        Parameters
        ----------
        qk, gold : path-like
            Stores of queries and keys, and of gold supports.
        layers : int
            Largest number of layers; the first and the last are among them.
        examples : int
            Largest number of examples.
        """
        reader, gold_reader = QKReader(qk), GoldReader(gold)
        info = reader.info
        count = min(examples, info.examples)
        chosen = [info.examples * i // count for i in range(count)]
        chosen_layers = sorted({round(i) for i in np.linspace(0, info.layers - 1, min(layers, info.layers)).tolist()})
        items = tuple(
            tuple(replace(reader.example(layer, index), index=i) for i, index in enumerate(chosen))
            for layer in chosen_layers
        )
        supports = tuple(tuple(gold_reader.example(layer, index) for index in chosen) for layer in chosen_layers)
        sample_info = replace(
            info,
            layers=len(chosen_layers),
            query_lengths=tuple(info.query_lengths[index] for index in chosen),
            key_lengths=tuple(info.key_lengths[index] for index in chosen),
            documents=tuple(info.documents[index] for index in chosen),
            local_windows=tuple(info.local_windows[layer] for layer in chosen_layers),
        )
        return cls(Memory(sample_info, items), Memory(sample_info, supports))

    @property
    def info(self) -> QKInfo:
        """Layers, heads, lengths and documents of the sample."""
        return self.qk.info

    @property
    def longest(self) -> int:
        """Length of the longest example, to which a batch of all examples is padded."""
        return max(*self.info.query_lengths, *self.info.key_lengths)

    @property
    def shortest(self) -> int:
        """Length of the shortest example, of queries or keys."""
        return min(*self.info.query_lengths, *self.info.key_lengths)

    @property
    def square(self) -> bool:
        """Whether every position has a query and a key."""
        return self.info.query_lengths == self.info.key_lengths

    def gold_sparsity(self) -> float:
        """Return the share of valid pairs outside the gold support, averaged over layers, heads and examples."""
        shares = [
            float(gold.support.sum((1, 2)).double().mean() / example.valid.sum())
            for layer in range(self.info.layers)
            for example, gold in zip(self.qk.items[layer], self.gold.items[layer], strict=True)
        ]
        return 1 - sum(shares) / len(shares)

    def changed(self, change: Callable[[Example], Example]) -> Sample:
        """Return a sample of changed examples, with gold supports computed from them."""
        items = tuple(tuple(change(example) for example in layer) for layer in self.qk.items)
        gold = tuple(tuple(gold_of(example, self.info.alpha) for example in layer) for layer in items)
        lengths = [tuple(example.valid.shape) for example in items[0]]
        queries, keys = zip(*lengths, strict=True)
        info = replace(self.info, query_lengths=queries, key_lengths=keys)
        return Sample(Memory(info, items), Memory(info, gold))

    def ragged(self) -> Sample:
        """Return the examples cut to lengths evenly spread up to their full length, in a fixed random order."""
        count = self.info.examples
        shares = (np.random.default_rng(0).permutation(count) + 1) / count

        def cut(example: Example) -> Example:
            queries, keys = (max(1, int(n * shares[example.index])) for n in example.valid.shape)
            vectors = example.queries[:, :queries].contiguous(), example.keys[:, :keys].contiguous()
            return Example(example.index, *vectors, example.valid[:queries, :keys].contiguous())

        return self.changed(cut)

    def causal(self) -> Sample:
        """Return the examples with causal attention: a query sees no later key."""
        return self.changed(lambda example: replace(example, valid=example.valid.tril()))

    def pairs(self) -> Pairs:
        """Return the sample in the form that `fit_layer` reads."""
        return Pairs(self.qk, self.gold)

    def split(self, projections: Projections | None = None) -> Split:
        """Return the sample in the form that `evaluate` reads."""
        return MemorySplit(self.qk, self.gold, projections)
