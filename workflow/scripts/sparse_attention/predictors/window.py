"""A window around each query: a predictor that uses locality and ignores content."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from sparse_attention.attention.blocks import near_blocks
from sparse_attention.attention.levels import levels_of_thresholds
from sparse_attention.predictors.base import NestedPredictor
from sparse_attention.predictors.features import Features


class Window(NestedPredictor):
    """Keep the `width` keys around the position of each query; none for width 0."""

    name = "window"
    label = "Window"
    group = "Patterns that ignore content"
    nested = "width"
    blocks = True
    quadratic = False
    parameters = {
        "width": {
            "type": "integer", "minimum": 0, "anyOf": [{"const": 0}, {"not": {"multipleOf": 2}}],
            "description": "0 or an odd whole number",
        }
    }  # fmt: skip

    def prepare(self, features: Features) -> Tensor:
        """Return the distance between the positions of query and key, int32 ``(1, queries, keys)``."""
        _, queries, keys = features.shape
        positions = torch.arange(max(queries, keys), dtype=torch.int32, device=features.device)
        return (positions[None, :keys] - positions[:queries, None]).abs_()[None]

    def levels(self, prepared: Tensor, values: Sequence[int], **others: Any) -> Tensor:
        """Return for each pair the index of the first width whose half is above its distance."""
        return levels_of_thresholds(prepared, [(width + 1) // 2 for width in values])

    def block_pairs(self, features: Features, query_block: int, key_block: int, **point: Any) -> Tensor:
        """Return the blocks within half a window of each other; see `Predictor.block_pairs`."""
        reach = (point["width"] + 1) // 2 - 1
        return near_blocks(*features.shape[1:], query_block, key_block, reach, features.device)[None]

    def cost(self, features: Features, **point: Any) -> float:
        """Return 0: the window ignores content."""
        return 0.0
