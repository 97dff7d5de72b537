"""Batches of masked blocks; seeds alone fix the order of the blocks and the masked tokens.

So models with different attention train on the same batches, and a resumed run goes on with those that are left.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.data import Dataset

IGNORED = -100
"""Label of tokens that do not count in the loss."""
VALIDATION_SEED = 20_220_304
"""Seed of the masks of validation blocks, the same in every run."""


def in_turn(documents: Tensor, count: int | None) -> Tensor:
    """Choose blocks from every document in turn: the first block of each, then the second of each, and so on.

    Parameters
    ----------
    documents : Tensor
        int ``(blocks,)``, each block's document.
    count : int or None
        Number of blocks to choose; None, or more than there are, chooses all.

    Returns
    -------
    Tensor
        int64 ``(count,)``, indices of the chosen blocks.
    """
    seen: dict[int, int] = {}
    rounds = []
    for document in documents.tolist():
        rounds.append(seen.get(document, 0))
        seen[document] = rounds[-1] + 1
    order = torch.sort(torch.tensor(rounds, dtype=torch.int64), stable=True).indices
    return order if count is None else order[:count]


@dataclass(frozen=True)
class Masking:
    """Masking of BERT (Devlin et al., 2019): of the chosen tokens 80 % become the mask, 10 % a random token, 10 % stay.

    Attributes
    ----------
    probability : float
        Probability that a token is chosen.
    special : mapping
        Ids of the special tokens, which are never chosen, by name; None for a token that the tokenizer does not have.
    vocabulary : int
        Random tokens are drawn from 0 to `vocabulary - 1`.
    """

    probability: float
    special: Mapping[str, int | None]
    vocabulary: int

    def __call__(self, tokens: Tensor, lengths: Tensor, seeds: list[int]) -> dict[str, Tensor]:
        """Mask a batch of blocks, cut to the longest of them.

        Parameters
        ----------
        tokens : Tensor
            int ``(blocks, length)``.
        lengths : Tensor
            int ``(blocks,)``, number of tokens of each block without padding.
        seeds : list of int
            Seed of each block, so that its masks do not depend on its batch.

        Returns
        -------
        dict of Tensor
            int64 ``(blocks, longest)`` each: `input_ids`, `attention_mask` (0 for padding), and `labels` (the token
            where it was chosen, else `IGNORED`).
        """
        draws = [self._draw(tokens.shape[1], seed) for seed in seeds]
        tokens = tokens[:, : int(lengths.max())].long()
        selection, action, replacements = (torch.stack(draw)[:, : tokens.shape[1]] for draw in zip(*draws, strict=True))
        real = torch.arange(tokens.shape[1]) < lengths[:, None]
        special = torch.tensor([token for token in self.special.values() if token is not None])
        chosen = (selection < self.probability) & real & ~torch.isin(tokens, special)
        masked = torch.where(chosen & (action < 0.8), torch.tensor(self.special["mask"]), tokens)
        masked = torch.where(chosen & (action >= 0.9), replacements, masked)
        return {
            "input_ids": masked,
            "attention_mask": real.long(),
            "labels": tokens.masked_fill(~chosen, IGNORED),
        }

    def _draw(self, length: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
        """Draw three ``(length,)`` tensors: two in [0, 1) that choose tokens and their treatment, and random tokens."""
        generator = torch.Generator().manual_seed(seed)
        selection, action = torch.rand(2, length, generator=generator)
        return selection, action, torch.randint(self.vocabulary, (length,), generator=generator)


def validation_batches(
    tokens: Tensor, lengths: Tensor, indices: Tensor, batch_size: int, masking: Masking
) -> Iterator[dict[str, Tensor]]:
    """Yield masked batches of the blocks at `indices`; a block's masks depend only on its index.

    Parameters
    ----------
    tokens : Tensor
        int ``(blocks, length)``.
    lengths : Tensor
        int ``(blocks,)``.
    indices : Tensor
        int64 ``(chosen,)``.
    batch_size : int
        Blocks of a batch.
    masking : Masking
        Makes each batch.
    """
    for chosen in indices.split(batch_size):
        seeds = [VALIDATION_SEED + index for index in chosen.tolist()]
        yield masking(tokens[chosen], lengths[chosen], seeds)


class TrainingBlocks(Dataset[tuple[int, Tensor, Tensor]]):
    """The blocks of a whole training, in shuffled order, pass after pass.

    Item i is its own number, tokens ``(length,)`` and length. It depends only on i and the seed, so it is the same in
    every worker and in a resumed run.

    Parameters
    ----------
    tokens, lengths : Tensor
        int ``(blocks, length)`` and ``(blocks,)``.
    items : int
        Blocks of the whole training: steps × accumulation × batch size.
    seed : int
        Seed of the order, which differs in every pass over the blocks.
    """

    def __init__(self, tokens: Tensor, lengths: Tensor, items: int, seed: int) -> None:
        self.tokens, self.lengths, self.items, self.seed = tokens, lengths, items, seed
        self._order: tuple[int, Tensor] = (-1, torch.empty(0))

    def __len__(self) -> int:
        return self.items

    def __getitem__(self, item: int) -> tuple[int, Tensor, Tensor]:
        epoch, place = divmod(item, len(self.lengths))
        if self._order[0] != epoch:
            generator = torch.Generator().manual_seed(combined_seed(self.seed, epoch))
            self._order = epoch, torch.randperm(len(self.lengths), generator=generator)
        block = int(self._order[1][place])
        return item, self.tokens[block], self.lengths[block]


@dataclass(frozen=True)
class Collator:
    """Mask a batch of training items; the number of an item in the training seeds its masks."""

    masking: Masking
    seed: int

    def __call__(self, items: list[tuple[int, Tensor, Tensor]]) -> dict[str, Tensor]:
        """Return the batch as `Masking` does."""
        numbers, tokens, lengths = zip(*items, strict=True)
        seeds = [combined_seed(self.seed + 1, number) for number in numbers]
        return self.masking(torch.stack(tokens), torch.stack(lengths), seeds)


def combined_seed(seed: int, number: int) -> int:
    """Return one seed for two numbers, spread so that neighbouring pairs of numbers get different seeds."""
    return (seed * 1_000_003 + number) * 2_654_435_761 % 2**63
