"""Predictions of a pruned classifier: probabilities of functions, and the number of tokens that each layer keeps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from sparse_attention.data.code.tokens import CodeTokens
from sparse_attention.pruning.batches import by_length
from sparse_attention.pruning.model import PrunedClassifier


class Predicted(NamedTuple):
    """Predictions for functions, in their order.

    Attributes
    ----------
    functions : ndarray
        Indices of the functions, int64 ``(functions,)``.
    labels : ndarray
        int64 ``(functions,)``, 0 or 1.
    probabilities : ndarray
        Probability of label 1, float64 ``(functions,)``.
    lengths : ndarray
        Number of tokens of each function, int64 ``(functions,)``.
    kept : ndarray
        Number of tokens (soft: sum of keep weights) that each layer leaves, float64 ``(functions, layers)``.
    """

    functions: np.ndarray
    labels: np.ndarray
    probabilities: np.ndarray
    lengths: np.ndarray
    kept: np.ndarray

    @property
    def kept_share(self) -> float:
        """The share of tokens that a layer leaves, averaged over functions and layers."""
        return float((self.kept / self.lengths[:, None]).mean())

    def loss(self) -> float:
        """Return the mean cross-entropy in nats."""
        of_label = np.where(self.labels == 1, self.probabilities, 1 - self.probabilities)
        return float(-np.log(np.maximum(of_label, np.finfo(np.float64).tiny)).mean())


@torch.no_grad()
def predict(
    model: PrunedClassifier,
    tokens: CodeTokens,
    functions: Sequence[int],
    mode: str,
    batch_size: int,
    drop: bool = False,
) -> Predicted:
    """Classify functions.

    Parameters
    ----------
    model : PrunedClassifier
        Predicts in evaluation mode; its training mode is restored.
    tokens : CodeTokens
        Tokens of all functions.
    functions : sequence of int
        Indices of the functions to classify.
    mode : str
        `dense`, `soft` or `hard`.
    batch_size : int
        Functions of a batch.
    drop : bool
        Remove tokens: padding, and with `hard` also pruned tokens.

    Returns
    -------
    Predicted
        In the order of `functions`.

    Raises
    ------
    ValueError
        When `drop` is asked for with `soft`.
    """
    if drop and mode == "soft":
        raise ValueError("mode soft: tokens with soft weights cannot be dropped; allowed: dense, hard")
    was_training, layers = model.training, len(model.thresholds.base)
    device = model.thresholds.base.device
    model.eval()
    result: dict[int, tuple[float, np.ndarray]] = {}
    for chosen in by_length(functions, tokens.lengths, batch_size):
        batch = tokens.batch(chosen)
        ids, mask = batch.ids.to(device), batch.mask.to(device)
        if drop:
            dropped = model.predict_dropped(ids, mask, prune=mode == "hard")
            alive = dropped.survived[:, :, None] > torch.arange(layers, device=device)
            logits, kept = dropped.logits, alive.sum(1)
        else:
            pruned = model(ids, mask, mode)
            logits, kept = pruned.logits, pruned.keep.sum(2).T
        probabilities = logits.double().softmax(-1)[:, 1].cpu().numpy()
        result |= dict(zip(chosen, zip(probabilities, kept.double().cpu().numpy(), strict=True), strict=True))
    model.train(was_training)
    order = list(functions)
    chosen_labels = tokens.labels[torch.tensor(order)].long().numpy()
    lengths = tokens.lengths[torch.tensor(order)].long().numpy()
    probabilities = np.array([result[function][0] for function in order])
    return Predicted(np.array(order), chosen_labels, probabilities, lengths, np.stack([result[f][1] for f in order]))
