"""Multiply-adds of an encoder's layers for given numbers of tokens, of full and of Longformer attention.

Counted are the products of matrices; embeddings, normalisation, softmax and the classifier's head are left out. A
multiply-add is two floating-point operations.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

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


def pruned_multiply_adds(shape: LayerShape, lengths: ArrayLike, kept: ArrayLike, heads: int) -> NDArray[np.float64]:
    """Count the multiply-adds that logits take when tokens are removed and the last layer computes CLS alone.

    Parameters
    ----------
    shape : LayerShape
        Its layers count as lean.
    lengths : array
        Numbers of tokens, `(sequences)`.
    kept : array
        Numbers of tokens that each layer leaves, `(layers, sequences)`; what the last one leaves costs nothing.
    heads : int

    Returns
    -------
    ndarray
        float64 `(sequences)`. A layer's attention runs on what the layer before left.
    """
    left = np.asarray(kept, dtype=np.float64)
    entering = np.concatenate([np.asarray(lengths, dtype=np.float64)[None], left[:-1]])
    layers = layer_multiply_adds(replace(shape, lean=True), entering[:-1], left[:-1], heads).sum(0)
    d = shape.hidden
    last = 4 * d**2 + 2 * heads * d * entering[-1] + 2 * d * shape.intermediate
    return np.asarray(layers + last)
