"""Baselines that keep as many tokens as a learned model does, so that only the choice of tokens differs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from sparse_attention.data.code.tokens import CodeTokens
from sparse_attention.pruning.batches import by_length
from sparse_attention.pruning.model import PrunedClassifier
from sparse_attention.pruning.prediction import predict
from sparse_attention.pruning.thresholds import ramp

HALVINGS = 8
WEIGHED = 400
"""Train functions, evenly spread, whose attention weighs the tokens of a text."""


def equal_shares(model: PrunedClassifier, shares: Sequence[float], mode: str, seed: int = 0) -> PrunedClassifier:
    """Return the model with another choice of tokens, which leaves a given share of them in each layer.

    Parameters
    ----------
    model : PrunedClassifier
        Its classifier is shared, not copied.
    shares : sequence of float
        In [0, 1], one per layer.
    mode : str
        `topk` or `random`.
    seed : int
        Of `random`.
    """
    changed = PrunedClassifier(model.classifier, replace(model.settings, mode=mode, final=0.0, seed=seed))
    changed.thresholds.shares = list(np.minimum.accumulate(shares))
    return changed.eval()


def equal_ramp(
    model: PrunedClassifier, tokens: CodeTokens, functions: Sequence[int], share: float, batch_size: int
) -> PrunedClassifier:
    """Return the model with thresholds that rise linearly, as high as leaves the share of tokens nearest to `share`.

    The end of the ramp is found by halving, on `functions`.
    """
    low, high = 0.0, 1.0
    best: tuple[float, float] = (float("inf"), 0.0)
    changed = PrunedClassifier(model.classifier, replace(model.settings, mode="manual", final=0.0)).eval()
    for _ in range(HALVINGS):
        # scores lie far below 1, so the middle is the geometric one
        middle = float(np.sqrt(max(low, 1e-5) * high))
        changed.thresholds.base.copy_(ramp(len(changed.thresholds.base), middle, changed.settings.ramp))
        kept = predict(changed, tokens, functions, "hard", batch_size, drop=True).kept_share
        best = min(best, (abs(kept - share), middle))
        low, high = (middle, high) if kept > share else (low, middle)
    changed.thresholds.base.copy_(ramp(len(changed.thresholds.base), best[1], changed.settings.ramp))
    return changed


@torch.no_grad()
def token_weights(model: PrunedClassifier, tokens: CodeTokens, batch_size: int) -> Tensor:
    """Return the mean attention that each token of the vocabulary got in train functions, float64 ``(vocabulary,)``.

    Attention is over that of a uniform one, so that long functions count as much, and averaged over layers; a token
    that does not occur has 1. So DietCode (Zhang et al., FSE 2022) weighs tokens before a model reads them.
    """
    sums = torch.zeros(tokens.info.vocabulary, dtype=torch.float64)
    counts = torch.zeros_like(sums)
    device = model.thresholds.base.device
    train = tokens.of("train").tolist()
    for chosen in by_length(train[:: max(1, len(train) // WEIGHED)], tokens.lengths, batch_size):
        batch = tokens.batch(chosen)
        scores = model(batch.ids.to(device), batch.mask.to(device), "dense").scores.mean(0).cpu().double()
        relative = scores * batch.mask.sum(1, keepdim=True)
        real = batch.mask.bool()
        sums.index_add_(0, batch.ids[real], relative[real])
        counts.index_add_(0, batch.ids[real], torch.ones_like(relative[real]))
    return torch.where(counts > 0, sums / counts.clamp_min(1), 1.0)


def shortened(tokens: CodeTokens, functions: Sequence[int], weights: Tensor, share: float) -> CodeTokens:
    """Return the tokens with those of low weight left out of `functions`, before any model reads them.

    Of each function a share of its tokens, rounded up, is left: the heaviest, the earlier one of equal weight. The
    first and last token, which mark its ends, stay.
    """
    kept = torch.ones(len(tokens.ids), dtype=torch.bool)
    lengths = tokens.lengths.clone()
    for function in functions:
        place = tokens.slice_of(function)
        own = weights[tokens.ids[place].long()].clone()
        own[0] = own[-1] = torch.inf
        number = max(int(np.ceil(len(own) * share - 1e-6)), min(2, len(own)))
        left = torch.zeros(len(own), dtype=torch.bool)
        left[torch.argsort(own, descending=True, stable=True)[:number]] = True
        kept[place] = left
        lengths[function] = number
    return CodeTokens(
        tokens.ids[kept], tokens.spans[kept], lengths, tokens.whole_lengths, tokens.labels, tokens.splits, tokens.info
    )
