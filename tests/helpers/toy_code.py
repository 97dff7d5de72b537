"""Functions as tokens with an obvious label: 1 if the token `MARK` occurs, else 0."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from sparse_attention.data.code.tokens import CodeTokens, TokensInfo
from sparse_attention.data.splits import SPLITS

VOCABULARY, PAD, CLS, SEP, MARK, FIRST = 50, 1, 2, 3, 4, 5


def code_tokens(bodies: Sequence[Sequence[int]], splits: Sequence[str], max_tokens: int = 40) -> CodeTokens:
    """Return functions with the tokens of `bodies` between CLS and SEP; a token spans two characters of the source."""
    rows = [[CLS, *body, SEP] for body in bodies]
    spans = [[(0, 0), *((2 * place, 2 * place + 2) for place in range(len(body))), (0, 0)] for body in bodies]
    lengths = torch.tensor([len(row) for row in rows], dtype=torch.int32)
    return CodeTokens(
        ids=torch.tensor([token for row in rows for token in row], dtype=torch.int32),
        spans=torch.tensor([span for row in spans for span in row], dtype=torch.int32),
        lengths=lengths,
        whole_lengths=lengths.clone(),
        labels=torch.tensor([int(MARK in body) for body in bodies], dtype=torch.int8),
        splits=torch.tensor([SPLITS.index(split) for split in splits], dtype=torch.int8),
        info=TokensInfo(PAD, VOCABULARY, max_tokens),
    )


def toy_functions(
    train: int = 24, validation: int = 8, test: int = 8, shortest: int = 3, longest: int = 14, seed: int = 0
) -> CodeTokens:
    """Return functions of random tokens and lengths; every second function contains `MARK`."""
    generator = torch.Generator().manual_seed(seed)
    splits = [split for split, count in zip(SPLITS, (train, validation, test), strict=True) for _ in range(count)]
    bodies = []
    for number in range(len(splits)):
        length = int(torch.randint(shortest, longest + 1, (1,), generator=generator))
        body = torch.randint(FIRST, VOCABULARY, (length,), generator=generator).tolist()
        if number % 2:
            body[int(torch.randint(length, (1,), generator=generator))] = MARK
        bodies.append(body)
    return code_tokens(bodies, splits)
