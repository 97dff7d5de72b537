"""Draw a figure of the workflow by its name, as the script `plot.py` does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from sparse_attention.plotting.registry import create


def draw(name: str, setting: Mapping[str, Any], **tables: pd.DataFrame) -> Figure:
    """Return the figure `name`; keys of `setting` are `corpus`, `model`, and such as `window` for `figures.window`."""
    dotted = {key if key in ("corpus", "model") else f"figures.{key}": value for key, value in setting.items()}
    return create(name).draw(tables, dotted)
