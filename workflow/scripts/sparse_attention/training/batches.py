"""Which blocks, in which order, with which tokens masked: fixed by seeds, whatever the attention or the step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.data import Dataset

IGNORED = -100
VALIDATION_SEED = 20_220_304  # of the masks that all losses are measured with: the same in every run


def in_turn(documents: Tensor, count: int | None) -> Tensor:
    """Choose blocks from every document in turn: the first block of each, then the second of each, and so on.

    Parameters
    ----------
    documents : Tensor
        int ``(blocks,)``: each block's document.
    count : int or None
        How many; None, or more than there are: all.

    Returns
    -------
    Tensor
        int64 indices of blocks.
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
    """The masked-language-model task: 80 % of the chosen tokens become the mask, 10 % a random token, 10 % stay.

    Attributes
    ----------
    probability : float
        That a token is chosen.
    special : mapping
        Ids of the special tokens, which are never chosen; None where a tokenizer has none.
    vocabulary : int
        Random tokens are drawn from its whole range.
    """

    probability: float
    special: Mapping[str, int | None]
    vocabulary: int

    def __call__(self, tokens: Tensor, lengths: Tensor, seeds: list[int]) -> dict[str, Tensor]:
        """Mask blocks ``(blocks, length)``: `input_ids`, `attention_mask`, and `labels` that are `IGNORED` elsewhere.

        Each block has a seed of its own, so its masks do not depend on its batch. Blocks are cut to the longest.
        """
        draws = [self._draw(tokens.shape[1], seed) for seed in seeds]
        tokens = tokens[:, : int(lengths.max())].long()
        choice, fate, replacements = (torch.stack(draw)[:, : tokens.shape[1]] for draw in zip(*draws, strict=True))
        real = torch.arange(tokens.shape[1]) < lengths[:, None]
        special = torch.tensor([token for token in self.special.values() if token is not None])
        chosen = (choice < self.probability) & real & ~torch.isin(tokens, special)
        masked = torch.where(chosen & (fate < 0.8), torch.tensor(self.special["mask"]), tokens)
        masked = torch.where(chosen & (fate >= 0.9), replacements, masked)
        return {
            "input_ids": masked,
            "attention_mask": real.long(),
            "labels": tokens.masked_fill(~chosen, IGNORED),
        }

    def _draw(self, length: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
        """Draw which tokens of a block are chosen, what becomes of them, and random tokens."""
        generator = torch.Generator().manual_seed(seed)
        choice, fate = torch.rand(2, length, generator=generator)
        return choice, fate, torch.randint(self.vocabulary, (length,), generator=generator)


def validation_batches(
    tokens: Tensor, lengths: Tensor, indices: Tensor, batch_size: int, masking: Masking
) -> Iterator[dict[str, Tensor]]:
    """Yield masked batches of the blocks at `indices`; a block's masks depend on nothing but its index."""
    for chosen in indices.split(batch_size):
        seeds = [VALIDATION_SEED + index for index in chosen.tolist()]
        yield masking(tokens[chosen], lengths[chosen], seeds)


class TrainingBlocks(Dataset[tuple[int, Tensor, Tensor]]):
    """An endless shuffle cut to what a training needs: item i is the same whoever asks for it, and when.

    Parameters
    ----------
    tokens, lengths : Tensor
        int ``(blocks, length)`` and ``(blocks,)``.
    items : int
        Blocks of the whole training: steps × accumulation × batch size.
    seed : int
        Of the order; every pass over the blocks has its own.
    """

    def __init__(self, tokens: Tensor, lengths: Tensor, items: int, seed: int) -> None:
        self.tokens, self.lengths, self.items, self.seed = tokens, lengths, items, seed
        self._order: tuple[int, Tensor] = (-1, torch.empty(0))

    def __len__(self) -> int:
        return self.items

    def __getitem__(self, item: int) -> tuple[int, Tensor, Tensor]:
        epoch, place = divmod(item, len(self.lengths))
        if self._order[0] != epoch:
            generator = torch.Generator().manual_seed(mixed(self.seed, epoch))
            self._order = epoch, torch.randperm(len(self.lengths), generator=generator)
        block = int(self._order[1][place])
        return item, self.tokens[block], self.lengths[block]


@dataclass(frozen=True)
class Collator:
    """Masks a batch of training items anew; an item's place in the training seeds its masks."""

    masking: Masking
    seed: int

    def __call__(self, items: list[tuple[int, Tensor, Tensor]]) -> dict[str, Tensor]:
        """Return the batch as `Masking` does."""
        places, tokens, lengths = zip(*items, strict=True)
        return self.masking(torch.stack(tokens), torch.stack(lengths), [mixed(self.seed + 1, item) for item in places])


def mixed(seed: int, number: int) -> int:
    """Make one seed of two numbers, so that neighbouring seeds do not share streams."""
    return (seed * 1_000_003 + number) * 2_654_435_761 % 2**63
