"""Count the multiply-adds of an encoder's layers, with full or Longformer attention, for given numbers of tokens.

Only matrix products are counted; embeddings, normalisation, softmax and the classifier's head are left out. One
multiply-add is two floating-point operations.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class LayerShape:
    """The sizes of a layer that its cost depends on, besides the number of tokens.

    Attributes
    ----------
    hidden, intermediate : int
        Widths of the hidden states and of the feed-forward network.
    window : int, optional
        Width of Longformer's attention window, half of it on either side; None for full attention.
    global_tokens : int
        Number of Longformer's global tokens.
    lean : bool
        False: the layer as transformers computes it. True: the layer as pruning computes it when tokens are dropped.
        Then the projections of CLS's global keys and values are applied to its query and to its weighted sum of states
        instead, and the output projection runs on the remaining tokens only.
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
        Sizes of the layer.
    attended : array
        Numbers of tokens whose attention is computed, of any shape.
    fed : array
        Numbers of tokens left for the feed-forward network, of the same shape.
    heads : int
        Number of heads; matters only where `shape.lean` is True and the attention is Longformer's.

    Returns
    -------
    ndarray
        float64, of the same shape. Each query of Longformer counts a whole window, although the first and last queries
        see less of it, but no more keys than there are tokens.
    """
    n, left = np.asarray(attended, dtype=np.float64), np.asarray(fed, dtype=np.float64)
    d = shape.hidden
    projections = 3 * d**2 * n + d**2 * (left if shape.lean else n)
    feed_forward = 2 * d * shape.intermediate * left
    if shape.window is None:
        return projections + 2 * d * n**2 + feed_forward
    tokens = shape.global_tokens
    local = 2 * d * n * (np.minimum(2 * (shape.window // 2) + 1, n) + tokens)
    if shape.lean:  # each head's global logits and weighted sum of states have width d
        return projections + local + tokens * (3 * d**2 + 2 * heads * d * n) + feed_forward
    return projections + local + 2 * d**2 * n + tokens * (d**2 + 2 * d * n) + feed_forward


def pruned_multiply_adds(shape: LayerShape, lengths: ArrayLike, kept: ArrayLike, heads: int) -> NDArray[np.float64]:
    """Count the multiply-adds of a classification when tokens are dropped and the last layer computes CLS only.

    Parameters
    ----------
    shape : LayerShape
        Sizes of the layers, which count as lean.
    lengths : array
        Numbers of tokens, ``(sequences,)``.
    kept : array
        Numbers of tokens that each layer keeps, ``(layers, sequences)``; those of the last layer do not matter.
    heads : int
        Number of heads.

    Returns
    -------
    ndarray
        float64 ``(sequences,)``. The attention of a layer runs on the tokens that the layer before it kept.
    """
    left = np.asarray(kept, dtype=np.float64)
    entering = np.concatenate([np.asarray(lengths, dtype=np.float64)[None], left[:-1]])
    layers = layer_multiply_adds(replace(shape, lean=True), entering[:-1], left[:-1], heads).sum(0)
    d = shape.hidden
    last = 4 * d**2 + 2 * heads * d * entering[-1] + 2 * d * shape.intermediate
    return np.asarray(layers + last)
