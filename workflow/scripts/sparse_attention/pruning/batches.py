"""Batches of functions: of similar length and shuffled in training, else sorted by length."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.utils.data import Dataset

from sparse_attention.data.code.tokens import CodeTokens
from sparse_attention.training.batches import combined_seed

POOL = 8
"""Number of batches that are drawn together and sorted by length, so that each has functions of similar length."""


class TrainingFunctions(Dataset[int]):
    """The functions of a whole training, in the order of training.

    Item i depends only on i and the seed, so it is the same in every worker and in a resumed run. Each epoch has an
    order of its own, and repeats its first functions where its last step is not full. The functions of a batch are of
    similar length, since the longest one decides the time.

    Parameters
    ----------
    functions : Tensor
        int64 ``(chosen,)``, indices into `lengths`.
    lengths : Tensor
        int ``(functions,)``, number of tokens of every function.
    batch_size : int
        Functions of a batch.
    accumulation : int
        Batches of an optimiser step.
    epochs : int
        Passes over the functions.
    seed : int
        Seed of the order.
    """

    def __init__(
        self, functions: Tensor, lengths: Tensor, batch_size: int, accumulation: int, epochs: int, seed: int
    ) -> None:
        self.functions, self.lengths, self.batch_size, self.seed = functions, lengths, batch_size, seed
        self.steps_per_epoch = math.ceil(len(functions) / (batch_size * accumulation))
        self.per_epoch = self.steps_per_epoch * batch_size * accumulation
        self.epochs = epochs
        self._epoch: tuple[int, list[int]] = (-1, [])

    @property
    def steps(self) -> int:
        """Optimiser steps of the whole training."""
        return self.steps_per_epoch * self.epochs

    def __len__(self) -> int:
        return self.per_epoch * self.epochs

    def __getitem__(self, item: int) -> int:
        epoch, index = divmod(item, self.per_epoch)
        if self._epoch[0] != epoch:
            self._epoch = epoch, self._order(epoch)
        return self._epoch[1][index]

    def _order(self, epoch: int) -> list[int]:
        generator = torch.Generator().manual_seed(combined_seed(self.seed, epoch))
        shuffled = self.functions[torch.randperm(len(self.functions), generator=generator)].tolist()
        while len(shuffled) < self.per_epoch:
            shuffled += shuffled[: self.per_epoch - len(shuffled)]
        pool = POOL * self.batch_size
        batches: list[list[int]] = []
        for start in range(0, len(shuffled), pool):
            chosen = sorted(shuffled[start : start + pool], key=lambda function: int(self.lengths[function]))
            batches += [chosen[first : first + self.batch_size] for first in range(0, len(chosen), self.batch_size)]
        order = torch.randperm(len(batches), generator=generator).tolist()
        return [function for number in order for function in batches[number]]


class CodeCollator:
    """Turn functions into a batch for Trainer."""

    def __init__(self, tokens: CodeTokens) -> None:
        self.tokens = tokens

    def __call__(self, functions: list[int]) -> dict[str, Tensor]:
        """Return `input_ids` and `attention_mask`, ``(batch, longest)``, and `labels`, ``(batch,)``."""
        batch = self.tokens.batch(functions)
        return {"input_ids": batch.ids, "attention_mask": batch.mask, "labels": batch.labels}


def by_length(functions: Sequence[int], lengths: Tensor, batch_size: int) -> Iterator[list[int]]:
    """Yield batches of functions, the longest first, so that a lack of memory shows at once."""
    ordered = sorted(functions, key=lambda function: (-int(lengths[function]), function))
    for start in range(0, len(ordered), batch_size):
        yield ordered[start : start + batch_size]
