"""Functions of each split of the code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from sparse_attention.summaries.base import Inputs, Table


class Code(Table):
    """Statistics of the functions, one row per split."""

    name = "code"
    title = "Functions of each split"
    section = "code"
    category = "The code"
    order = 10
    needs = ("code",)
    left_out = ("characters_*",)
    latex = True
    caption = """
    Functions of each split, how many of them are positive (defective), the projects they come from, and the
    quantiles of their lines and characters.
    Splits are made by project, where projects are known: no project is in two of them.
    """

    def make(self, inputs: Inputs, setting: Mapping[str, Any]) -> pd.DataFrame:
        return inputs.rows("code")
