"""The window alone: what locality gives without looking at content."""

from __future__ import annotations

from torch import Tensor

from sparse_attention.attention.masks import window_mask
from sparse_attention.predictors.base import Features, Predictor


class Window(Predictor):
    """The `width` keys around a query's own position."""

    name = "window"
    label = "Window"
    parameters = {
        "width": {"type": "integer", "minimum": 1, "not": {"multipleOf": 2}, "description": "an odd whole number"}
    }

    def predict(self, features: Features, width: int) -> Tensor:
        """Return the window, the same for all heads."""
        return window_mask(*features.shape[1:], width)
