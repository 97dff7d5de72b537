"""Ramps, keep masks and the regulariser against their definitions."""

from __future__ import annotations

import math

import pytest
import torch

from sparse_attention.errors import InputError
from sparse_attention.pruning.thresholds import PruningSettings, Thresholds, ramp

SCORES = torch.tensor([[0.1, 0.5, 0.3, 0.3, 0.0, 0.9]])
ALIVE = torch.tensor([[True, True, True, True, True, False]])


def test_the_ramps_of_the_readme_and_of_the_code():
    assert ramp(12, 0.01, "one_based")[[2, 5, 8, 11]].tolist() == pytest.approx([0.0025, 0.005, 0.0075, 0.01])
    assert ramp(12, 0.01, "zero_based")[[0, 11]].tolist() == pytest.approx([0, 0.01 * 11 / 12])


def test_tokens_at_or_above_the_threshold_and_cls_are_kept():
    thresholds = Thresholds(1, PruningSettings(final=0.3))
    assert thresholds.hard(0, SCORES, ALIVE, torch.tensor([5])).tolist() == [[True, True, True, True, False, False]]
    thresholds.offset.data[0] = 0.1
    assert thresholds.hard(0, SCORES, ALIVE, torch.tensor([5])).tolist() == [[True, True, False, False, False, False]]


@pytest.mark.parametrize(("share", "kept"), [(1.0, 5), (0.6, 3), (0.5, 3), (0.2, 1), (0.0, 1)])
def test_a_share_keeps_the_highest_scores_and_the_first_of_equal_ones(share, kept):
    found = Thresholds(1, PruningSettings("topk", final=share)).hard(0, SCORES, ALIVE, torch.tensor([5]))[0]
    assert found.nonzero()[:, 0].tolist() == sorted([0, 1, 2, 3, 4][:kept])


def test_the_pruned_share_rises_to_the_last_layer():
    thresholds = Thresholds(4, PruningSettings("topk", final=0.2))
    real = torch.ones(1, 50, dtype=torch.bool)
    scores = torch.rand(1, 50, generator=torch.Generator().manual_seed(0))
    assert [int(thresholds.hard(layer, scores, real, torch.tensor([50])).sum()) for layer in range(4)] == [
        40,
        30,
        20,
        10,
    ]


def test_soft_weights_are_sigmoids_that_become_hard():
    thresholds = Thresholds(2, PruningSettings(final=0.5, temperature=0.1))
    soft = thresholds.log_soft(0, SCORES).exp()[0].tolist()
    assert soft[0] == 1
    assert soft[1:] == pytest.approx([1 / (1 + math.exp(-(s - 0.25) / 0.1)) for s in SCORES[0, 1:].tolist()], rel=1e-5)
    thresholds.temperature = 1e-4
    hard = thresholds.hard(0, SCORES, torch.ones_like(ALIVE), torch.tensor([6]))
    torch.testing.assert_close(thresholds.log_soft(0, SCORES).exp(), hard.float())
    with pytest.raises(ValueError, match="topk"):
        Thresholds(2, PruningSettings("topk")).log_soft(0, SCORES)


def test_the_regulariser_is_a_mean_over_real_tokens_and_layers():
    keep = torch.tensor([[[1.0, 0.5, 0.0], [1.0, 0.5, 0.5]], [[1.0, 0.0, 0.0], [1.0, 0.5, 0.0]]])
    real = torch.tensor([[True, True, False], [True, True, True]])
    share = (3.5 / 5 + 2.5 / 5) / 2
    assert Thresholds(2, PruningSettings()).regulariser(keep, real).item() == pytest.approx(share)
    target = Thresholds(2, PruningSettings(target=0.25)).regulariser(keep, real)
    assert target.item() == pytest.approx((share - 0.25) ** 2)


@pytest.mark.parametrize("mode", ["manual", "topk", "random"])
def test_only_the_mode_threshold_learns(mode):
    assert not Thresholds(3, PruningSettings(mode)).offset.requires_grad
    assert Thresholds(3, PruningSettings("threshold")).offset.requires_grad


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"mode": "hard"}, "prunings.mode: 'hard' is not allowed; allowed: threshold, manual, topk, random"),
        ({"score": "max"}, "prunings.score: 'max' is not allowed; allowed: mean, relative, cls"),
        ({"ramp": "two"}, "prunings.ramp: 'two' is not allowed; allowed: one_based, zero_based"),
        ({"temperature": 0}, "prunings.temperature: 0 is not allowed; allowed: above 0"),
        ({"final": 2}, "prunings.final: 2 is not allowed; allowed: from 0 to 1"),
        ({"target": -1}, "prunings.target: -1 is not allowed; allowed: from 0 to 1, or null"),
    ],
)
def test_settings_that_are_not_allowed_are_refused(setting, message):
    with pytest.raises(InputError, match=message):
        PruningSettings(**setting)
