"""What every figure declares, and how it is drawn."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.figure import Figure


class Plot(ABC):
    """A figure of the workflow.

    Its attributes are read without running the file, so they must be literals of the class itself.

    Attributes
    ----------
    name : str
        The stem of its files.
    title, caption : str
        What readers see; the caption is plain reStructuredText, words and double backticks.
    section : str
        Its section of results/report.html, one of `registry.SECTIONS`.
    category : str
        Its category in Snakemake's own report.
    order : int
        Its place among the figures of its section: lower numbers come first.
    needs : tuple of str
        The tables that it is drawn from, by name. A run without one of them has no such figure.
    may_be_empty : tuple of str
        Those of `needs` that may have no rows; otherwise an empty table is an error.
    settings : tuple of str
        Dotted keys of the configuration that `draw` reads.
    subject : tuple of str
        The two keys of the configuration that say what corpus and what model it is about.
    condition : str
        What must hold beside the tables being there, one of `planned.CONDITIONS`; empty when nothing must.
    explored : tuple of str
        What readers of the report can explore point by point: the table (one of `planned.EXPLORED`), its columns on
        the x axis and on the y axis, and which points of a curve a line joins (one of `planned.JOINED`). Empty when
        there is nothing to explore.
    """

    name: str = ""
    title: str = ""
    caption: str = ""
    section: str = ""
    category: str = ""
    order: int = 0
    needs: tuple[str, ...] = ()
    may_be_empty: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    subject: tuple[str, str] = ("corpus", "model")
    condition: str = ""
    explored: tuple[str, ...] = ()

    @abstractmethod
    def draw(self, tables: Mapping[str, pd.DataFrame], setting: Mapping[str, Any]) -> Figure:
        """Draw the figure.

        Parameters
        ----------
        tables : mapping
            The tables of `needs`, by name.
        setting : mapping
            The values of `settings` by dotted key, and `corpus` and `model` for the line below the title.

        Raises
        ------
        InputError
            When the tables hold nothing of what the settings ask for.
        """
