"""Multiply-adds of an encoder's layers for given numbers of tokens, of full and of Longformer attention.

Counted are the products of matrices; embeddings, normalisation, softmax and the classifier's head are left out. A
multiply-add is two floating-point operations.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class LayerShape:
    """What a layer's cost depends on beside the number of tokens.

    Attributes
    ----------
    hidden, intermediate : int
        Widths of the states and of the feed-forward network.
    window : int, optional
        Longformer's attention window, half to either side; None for full attention.
    global_tokens : int
        Of Longformer.
    lean : bool
        False counts the layer as the library computes it. True counts what pruning with removal computes: CLS's global
        keys and values are folded into its query and its mixture, and the output projection runs on survivors only.
    """

    hidden: int
    intermediate: int
    window: int | None = None
    global_tokens: int = 1
    lean: bool = False


class Cost(NamedTuple):
    """Multiply-adds of all layers and sequences: pruned, not pruned but without padding, and their ratio."""

    total: float
    unpruned: float
    relative: float


def layer_multiply_adds(shape: LayerShape, attended: ArrayLike, fed: ArrayLike, heads: int = 1) -> NDArray[np.float64]:
    """Count the multiply-adds of one layer.

    Parameters
    ----------
    shape : LayerShape
    attended : array
        Numbers of tokens whose attention is computed, of any shape.
    fed : array
        Numbers of tokens left for the feed-forward network, of the same shape.
    heads : int
        Matters only where `shape.lean` folds the global projections.

    Returns
    -------
    ndarray
        float64, of the same shape. Every query of Longformer is taken to see a whole window, though the first and last
        ones see less, but never more keys than there are tokens.
    """
    n, left = np.asarray(attended, dtype=np.float64), np.asarray(fed, dtype=np.float64)
    d = shape.hidden
    projections = 3 * d**2 * n + d**2 * (left if shape.lean else n)
    feed_forward = 2 * d * shape.intermediate * left
    if shape.window is None:
        return projections + 2 * d * n**2 + feed_forward
    tokens = shape.global_tokens
    local = 2 * d * n * (np.minimum(2 * (shape.window // 2) + 1, n) + tokens)
    if shape.lean:  # the query and the values' mixture are projected; logits and mixture are of width d for each head
        return projections + local + tokens * (3 * d**2 + 2 * heads * d * n) + feed_forward
    return projections + local + 2 * d**2 * n + tokens * (d**2 + 2 * d * n) + feed_forward


def total_cost(shape: LayerShape, lengths: ArrayLike, kept: ArrayLike, heads: int = 1) -> Cost:
    """Count the multiply-adds of all layers and sequences.

    Parameters
    ----------
    shape : LayerShape
    lengths : array
        Numbers of real tokens, `(sequences)`.
    kept : array
        Numbers of tokens that each layer leaves, `(layers, sequences)`.
    heads : int
        See `layer_multiply_adds`.

    Returns
    -------
    Cost
        A layer's attention runs on what the layer before left.
    """
    whole, left = np.asarray(lengths), np.asarray(kept)
    entering = np.concatenate([whole[None], left[:-1]])
    total = layer_multiply_adds(shape, entering, left, heads).sum()
    unpruned = left.shape[0] * layer_multiply_adds(shape, whole, whole, heads).sum()
    return Cost(float(total), float(unpruned), float(total / unpruned))
