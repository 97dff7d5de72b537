"""Baselines that keep as many tokens as a learned model, so that only the choice of tokens differs."""

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
"""Steps of the bisection in `equal_ramp`."""
WEIGHTING_FUNCTIONS = 400
"""About so many train functions, evenly spread, give the weights of tokens in `token_weights`."""


def equal_shares(model: PrunedClassifier, shares: Sequence[float], mode: str, seed: int = 0) -> PrunedClassifier:
    """Return the model with the mode `topk` or `random`, which leaves a given share of tokens in each layer.

    Parameters
    ----------
    model : PrunedClassifier
        Its classifier is shared, not copied.
    shares : sequence of float
        Share of tokens that each layer leaves, in [0, 1]; a layer never leaves more than the one before it.
    mode : str
        `topk` or `random`.
    seed : int
        Seed of `random`.
    """
    changed = PrunedClassifier(model.classifier, replace(model.settings, mode=mode, final=0.0, seed=seed))
    changed.thresholds.shares = list(np.minimum.accumulate(shares))
    return changed.eval()


def equal_ramp(
    model: PrunedClassifier, tokens: CodeTokens, functions: Sequence[int], share: float, batch_size: int
) -> PrunedClassifier:
    """Return the model with mode `manual`, whose ramp leaves a share of the tokens of `functions` nearest to `share`.

    The end of the ramp is found by bisection on `functions`.

    Parameters
    ----------
    model : PrunedClassifier
        Its classifier is shared, not copied.
    tokens : CodeTokens
        Tokens of all functions.
    functions : sequence of int
        Functions that the share is measured on.
    share : float
        Mean share of tokens that layers shall leave, in [0, 1].
    batch_size : int
        Functions of a batch.
    """
    low, high = 0.0, 1.0
    best: tuple[float, float] = (float("inf"), 0.0)
    changed = PrunedClassifier(model.classifier, replace(model.settings, mode="manual", final=0.0)).eval()
    for _ in range(HALVINGS):
        # scores are far below 1, so bisect at the geometric mean
        middle = float(np.sqrt(max(low, 1e-5) * high))
        changed.thresholds.base.copy_(ramp(len(changed.thresholds.base), middle, changed.settings.ramp))
        kept = predict(changed, tokens, functions, "hard", batch_size, drop=True).kept_share
        best = min(best, (abs(kept - share), middle))
        low, high = (middle, high) if kept > share else (low, middle)
    changed.thresholds.base.copy_(ramp(len(changed.thresholds.base), best[1], changed.settings.ramp))
    return changed


@torch.no_grad()
def token_weights(model: PrunedClassifier, tokens: CodeTokens, batch_size: int) -> Tensor:
    """Return the mean attention that each token of the vocabulary received in train functions.

    Attention is averaged over layers and divided by that of uniform attention, so that functions of any length count
    alike. This is how DietCode (Zhang et al., FSE 2022) weights tokens before a model reads them.

    Returns
    -------
    Tensor
        float64 ``(vocabulary,)``; 1 for a token that does not occur.
    """
    sums = torch.zeros(tokens.info.vocabulary, dtype=torch.float64)
    counts = torch.zeros_like(sums)
    device = model.thresholds.base.device
    train = tokens.of("train").tolist()
    for chosen in by_length(train[:: max(1, len(train) // WEIGHTING_FUNCTIONS)], tokens.lengths, batch_size):
        batch = tokens.batch(chosen)
        scores = model(batch.ids.to(device), batch.mask.to(device), "dense").scores.mean(0).cpu().double()
        relative = scores * batch.mask.sum(1, keepdim=True)
        real = batch.mask.bool()
        sums.index_add_(0, batch.ids[real], relative[real])
        counts.index_add_(0, batch.ids[real], torch.ones_like(relative[real]))
    return torch.where(counts > 0, sums / counts.clamp_min(1), 1.0)


def shortened(tokens: CodeTokens, functions: Sequence[int], weights: Tensor, share: float) -> CodeTokens:
    """Return the tokens of the corpus, with tokens of low weight removed from `functions`.

    Each function keeps the share `share` of its tokens, rounded up: those of largest weight, and the earlier one of
    equal weights. The first and last token, which mark start and end, are always kept.

    Parameters
    ----------
    tokens : CodeTokens
        Tokens of all functions.
    functions : sequence of int
        Functions to shorten; the others stay as they are.
    weights : Tensor
        float64 ``(vocabulary,)``, from `token_weights`.
    share : float
        Share of tokens to keep, in [0, 1].
    """
    kept = torch.ones(len(tokens.ids), dtype=torch.bool)
    lengths = tokens.lengths.clone()
    for function in functions:
        place = tokens.slice_of(function)
        own_weights = weights[tokens.ids[place].long()].clone()
        own_weights[0] = own_weights[-1] = torch.inf
        count = len(own_weights)
        number = max(int(np.ceil(count * share - 1e-6)), min(2, count))
        own_kept = torch.zeros(count, dtype=torch.bool)
        own_kept[torch.argsort(own_weights, descending=True, stable=True)[:number]] = True
        kept[place] = own_kept
        lengths[function] = number
    return CodeTokens(
        tokens.ids[kept], tokens.spans[kept], lengths, tokens.whole_lengths, tokens.labels, tokens.splits, tokens.info
    )
