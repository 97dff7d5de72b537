"""Lengths of the functions in tokens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from sparse_attention.summaries.base import Inputs, Table


class CodeTokens(Table):
    """Statistics of tokens, one row per split and label."""

    name = "code_tokens"
    title = "Tokens of the functions"
    section = "baselines"
    category = "The code"
    order = 20
    needs = ("code_tokens",)
    latex = True
    caption = """
    Tokens of the functions, by split and label: the share of functions whose end is cut, and quantiles of their
    whole lengths.
    """

    def make(self, inputs: Inputs, setting: Mapping[str, Any]) -> pd.DataFrame:
        return inputs.rows("code_tokens")
