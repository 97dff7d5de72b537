"""Curves over optimiser steps, and a colour for each layer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes


def draw_curve(axes: Axes, rows: pd.DataFrame, colour: str, column: str = "loss", **kwargs: Any) -> None:
    """Draw `column` over `step` and, with several seeds, its 95 % interval as a band."""
    rows = rows[rows[column].notna()].sort_values("step", kind="stable")
    axes.plot(rows["step"], rows[column], color=colour, **kwargs)
    if rows[f"{column}_ci95"].notna().any():
        low, high = rows[column] - rows[f"{column}_ci95"], rows[column] + rows[f"{column}_ci95"]
        axes.fill_between(rows["step"], low, high, color=colour, alpha=0.15, linewidth=0)


def layer_colours(layers: Iterable[Any]) -> dict[Any, Any]:
    """Return a colour for each layer, from dark (first layer) to light (last layer)."""
    order = sorted(layers)
    return dict(zip(order, matplotlib.colormaps["viridis"](np.linspace(0.05, 0.9, len(order))), strict=True))
