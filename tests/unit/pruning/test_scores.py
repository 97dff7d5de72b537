"""Importance scores are found by parsing their source, and equal results by hand."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from sparse_attention.errors import InputError
from sparse_attention.pruning.random_scores import random_scores
from sparse_attention.pruning.scored_attention import Attended
from sparse_attention.pruning.scores import registry
from sparse_attention.pruning.scores.base import Score
from sparse_attention.pruning.scores.registry import create, discover


def attended():
    received = torch.tensor([[1.5, 0.9, 0.6, 0.0], [1.0, 1.0, 0.0, 0.0]])
    return Attended(torch.zeros(2, 1, 4, 1), received, torch.tensor([[0.5, 0.25, 0.25, 0.0], [0.9, 0.1, 0.0, 0.0]]))


LOG_KEEP = torch.tensor([[0.0, 0.0, 0.0, -torch.inf], [0.0, 0.0, -torch.inf, -torch.inf]])


def test_they_are_listed_in_their_order():
    assert list(discover()) == ["mean", "relative", "cls"]


@pytest.mark.parametrize("name", discover())
def test_literals_equal_the_attributes_of_the_class(name):
    score, plugin = create(name), discover()[name]
    assert isinstance(score, Score) and type(score).__name__ == plugin.class_name
    assert {literal: getattr(score, literal) for literal in registry.LITERALS} == plugin.declared
    assert score.meaning


def test_the_driver_finds_them_without_torch():
    code = "import sys; sys.modules['torch'] = None; from sparse_attention.pruning.scores.registry import discover"
    subprocess.run([sys.executable, "-c", f"{code}; discover()"], check=True, cwd=Path(registry.__file__).parents[3])


def test_a_score_without_a_literal_is_refused(tmp_path):
    (tmp_path / "early.py").write_text("class Early(Score):\n    name = 'early'\n    order = 4\n")
    with pytest.raises(InputError, match="early: Early lacks meaning"):
        discover(tmp_path)


def test_scores_by_hand():
    found = {name: create(name)(attended(), LOG_KEEP) for name in discover()}
    torch.testing.assert_close(found["mean"], torch.tensor([[0.5, 0.3, 0.2, 0.0], [0.5, 0.5, 0.0, 0.0]]))
    torch.testing.assert_close(found["relative"], torch.tensor([[1.0, 0.6, 0.4, 0.0], [1.0, 1.0, 0.0, 0.0]]))
    assert torch.equal(found["cls"], attended().cls)


@pytest.mark.parametrize("name", discover())
def test_without_attention_scores_are_zero(name):
    nothing = Attended(torch.zeros(1, 1, 3, 1), torch.zeros(1, 3), torch.zeros(1, 3))
    assert not create(name)(nothing, torch.full((1, 3), -torch.inf)).any()


def test_random_scores_depend_on_seed_tokens_and_position_only():
    tokens = torch.randint(2, 50, (3, 40), generator=torch.Generator().manual_seed(0))
    real = torch.ones_like(tokens, dtype=torch.bool)
    scores = random_scores(tokens, real, 0)
    assert ((scores >= 0) & (scores < 1)).all() and abs(scores.mean() - 0.5) < 0.1
    assert scores.flatten().unique().numel() > 115
    padded = torch.cat([tokens[1:2], torch.ones(1, 5, dtype=tokens.dtype)], 1)
    inside = torch.arange(45)[None] < 40
    assert torch.equal(random_scores(padded, inside, 0)[:, :40], scores[1:2])
    assert not torch.equal(random_scores(tokens, real, 1), scores)
