"""Importance scores on attention that can be counted by hand."""

from __future__ import annotations

import pytest
import torch

from sparse_attention.pruning.scored_attention import Attended
from sparse_attention.pruning.scores import SCORES, random_scores


def attended():
    received = torch.tensor([[1.5, 0.9, 0.6, 0.0], [1.0, 1.0, 0.0, 0.0]])
    return Attended(torch.zeros(2, 1, 4, 1), received, torch.tensor([[0.5, 0.25, 0.25, 0.0], [0.9, 0.1, 0.0, 0.0]]))


LOG_KEEP = torch.tensor([[0.0, 0.0, 0.0, -torch.inf], [0.0, 0.0, -torch.inf, -torch.inf]])


def test_scores_by_hand():
    found = {name: score(attended(), LOG_KEEP) for name, score in SCORES.items()}
    torch.testing.assert_close(found["mean"], torch.tensor([[0.5, 0.3, 0.2, 0.0], [0.5, 0.5, 0.0, 0.0]]))
    torch.testing.assert_close(found["relative"], torch.tensor([[1.0, 0.6, 0.4, 0.0], [1.0, 1.0, 0.0, 0.0]]))
    assert torch.equal(found["cls"], attended().cls)


@pytest.mark.parametrize("name", SCORES)
def test_nothing_at_all_scores_zero(name):
    nothing = Attended(torch.zeros(1, 1, 3, 1), torch.zeros(1, 3), torch.zeros(1, 3))
    assert not SCORES[name](nothing, torch.full((1, 3), -torch.inf)).any()


def test_random_scores_depend_on_seed_tokens_and_place_only():
    tokens = torch.randint(2, 50, (3, 40), generator=torch.Generator().manual_seed(0))
    real = torch.ones_like(tokens, dtype=torch.bool)
    scores = random_scores(tokens, real, 0)
    assert ((scores >= 0) & (scores < 1)).all() and abs(scores.mean() - 0.5) < 0.1
    assert scores.flatten().unique().numel() > 115
    padded = torch.cat([tokens[1:2], torch.ones(1, 5, dtype=tokens.dtype)], 1)
    inside = torch.arange(45)[None] < 40
    assert torch.equal(random_scores(padded, inside, 0)[:, :40], scores[1:2])
    assert not torch.equal(random_scores(tokens, real, 1), scores)
