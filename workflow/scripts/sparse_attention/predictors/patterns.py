"""Patterns of published sparse transformers: they ignore content."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from sparse_attention.attention.masks import keep_mask, window_mask
from sparse_attention.predictors.base import Features, Predictor


class BigBird(Predictor):
    """BigBird at block size 1: `random_keys` keys per query and head, ±1 neighbours, global first and last token.

    The keys are drawn uniformly from all valid ones. The original draws them among the first few positions of a long
    sequence only, which makes it a weaker baseline than it should be.
    """

    name = "bigbird"
    label = "BigBird"
    parameters = {"random_keys": {"type": "integer", "minimum": 0}}

    def prepare(self, features: Features) -> tuple[Tensor, Tensor, Tensor]:
        """Return the part that is not random, a random number per pair, and each query's numbers in order."""
        shape = features.shape[1:]
        pattern = window_mask(*shape, 3) | keep_mask(*shape, "cls+last")
        noise = self.rng(features).random(features.shape)
        noise[:, ~features.valid.numpy()] = 2.0
        return pattern, torch.from_numpy(noise), torch.from_numpy(np.sort(noise))

    def predict(self, prepared: tuple[Tensor, Tensor, Tensor], random_keys: int) -> Tensor:
        """Return the pattern and the keys of the `random_keys` lowest numbers."""
        pattern, noise, ordered = prepared
        if random_keys == 0:
            return pattern
        return pattern | (noise <= ordered[..., min(random_keys, ordered.shape[-1]) - 1, None])


class Longformer(Predictor):
    """Longformer at block size 1: the diagonal, and `global_tokens` that see all and are seen by all.

    The first token is one of them; the others are random positions, the same in all heads, without repeats.
    """

    name = "longformer"
    label = "Longformer"
    parameters = {"global_tokens": {"type": "integer", "minimum": 1}}

    def prepare(self, features: Features) -> tuple[Tensor, Tensor]:
        """Return the diagonal and each pair's place: that of its query or key in the order of becoming global."""
        _, queries, keys = features.shape
        positions = max(queries, keys)
        place = np.zeros(positions, np.int64)
        place[1:] = self.rng(features).permutation(positions - 1) + 1
        places = torch.from_numpy(place)
        return window_mask(queries, keys, 1), torch.minimum(places[:queries, None], places[:keys])

    def predict(self, prepared: tuple[Tensor, Tensor], global_tokens: int) -> Tensor:
        """Return the diagonal, and the rows and columns of the global tokens."""
        diagonal, place = prepared
        return diagonal | (place < global_tokens)
