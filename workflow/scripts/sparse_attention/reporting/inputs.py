"""What the report is made from."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from markupsafe import Markup

from sparse_attention.files.tables import read_table
from sparse_attention.plotting import registry as plots

REM_PER_POINT = 0.1
"""Scale of all figures on the page: about a fifth larger than in print."""


class Setting(NamedTuple):
    """The window and the kept tokens that the figures show, and the sparsity at which single points are compared."""

    window: int
    keep: str
    sparsity: float


@dataclass(frozen=True)
class Figure:
    """A figure of the page: its SVG as a data URL in `source`, and its width in rem."""

    name: str
    title: str
    section: str
    caption: Markup
    source: str
    width: float


class Inputs:
    """The tables and the paths of the figures, by the stem of their files; any of them may be missing."""

    def __init__(self, tables: Iterable[str], figures: Iterable[str]) -> None:
        self.tables = {Path(path).stem: read_table(path) for path in tables}
        self.paths = {Path(path).stem: Path(path) for path in figures}

    def table(self, name: str) -> pd.DataFrame | None:
        """Return a table, or None if it is missing or has no rows."""
        frame = self.tables.get(name)
        return None if frame is None or frame.empty else frame

    def figures(self) -> list[Figure]:
        """Return the figures in the order of the report."""
        drawn = []
        for name, info in plots.discover().items():
            if name in self.paths:
                drawing = self.paths[name].read_bytes()
                source = f"data:image/svg+xml;base64,{base64.b64encode(drawing).decode('ascii')}"
                points = re.search(rb'<svg[^>]* width="([\d.]+)pt"', drawing)
                width = float(points[1]) * REM_PER_POINT if points else 40
                drawn.append(Figure(name, info.title, info.section, marked_up(info.caption), source, round(width, 1)))
        return drawn


def marked_up(text: str) -> Markup:
    """Turn a caption into HTML; it is plain reStructuredText with words and ``literals`` only."""
    return Markup(re.sub(r"``(.+?)``", r"<code>\1</code>", html.escape(text, quote=False)))
