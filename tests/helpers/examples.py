"""Small queries and keys of every shape that predictors must support."""

from __future__ import annotations

import torch

from sparse_attention.attention.masks import valid_pairs
from sparse_attention.predictors.features import Features

# name: (queries, keys, causal, local window)
SHAPES = {
    "square": (9, 9, False, None),
    "causal": (9, 9, True, None),
    "fewer-queries": (4, 11, False, None),
    "fewer-keys": (11, 4, False, None),
    "local": (9, 9, False, 2),
    "one-token": (1, 1, False, None),
    "longer": (24, 24, False, None),
    "long": (70, 70, False, None),
}
# examples on which every predictor is compared with its definition: (shape, whether many numbers are equal)
EXAMPLES = {
    "square": ("square", False),
    "causal": ("causal", False),
    "causal-tied": ("causal", True),
    "fewer-queries-tied": ("fewer-queries", True),
    "fewer-keys": ("fewer-keys", False),
    "local-tied": ("local", True),
    "one-token": ("one-token", False),
    "longer-tied": ("longer", True),
}


def features_of_shape(shape, *, tied=False, heads=3, dim=2, head_dim=5, layer=1, index=4, seed=0) -> Features:
    queries, keys, causal, local_window = SHAPES[shape]
    generator = torch.Generator().manual_seed(seed)

    def vectors(n, size):
        if tied:
            return torch.randint(-1, 2, (heads, n, size), generator=generator).float()
        return torch.randn(heads, n, size, generator=generator)

    low = vectors(queries, dim), vectors(keys, dim)
    raw = vectors(queries, head_dim), vectors(keys, head_dim)
    return Features(layer, index, *low, *raw, valid_pairs(queries, keys, causal, local_window))
