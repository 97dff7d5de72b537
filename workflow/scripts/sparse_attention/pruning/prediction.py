"""What a pruned classifier says of functions: probabilities, and how many layers each token outlives."""

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
        int64 `(functions)`, places in the tokens.
    labels : ndarray
        int64 `(functions)`.
    probabilities : ndarray
        Of label 1, float64 `(functions)`.
    lengths : ndarray
        Tokens of each function, int64 `(functions)`.
    kept : ndarray
        Tokens (soft: keep weight) that each layer leaves, float64 `(functions, layers)`.
    """

    functions: np.ndarray
    labels: np.ndarray
    probabilities: np.ndarray
    lengths: np.ndarray
    kept: np.ndarray

    @property
    def kept_share(self) -> float:
        """The mean over functions and layers of the share of tokens that a layer leaves."""
        return float((self.kept / self.lengths[:, None]).mean())

    def loss(self) -> float:
        """Return the mean cross-entropy in nats."""
        chosen = np.where(self.labels == 1, self.probabilities, 1 - self.probabilities)
        return float(-np.log(np.maximum(chosen, np.finfo(np.float64).tiny)).mean())


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
        Its training mode is left as it was; prediction is in evaluation mode.
    mode : str
        `dense`, `soft` or `hard`.
    drop : bool
        Tokens are really removed: padding when `mode` is `dense`, pruned ones too when it is `hard`.

    Raises
    ------
    ValueError
        When soft weights are to be dropped.
    """
    if drop and mode == "soft":
        raise ValueError("soft weights cannot be dropped")
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
