"""Functions that were read and left out when the code was prepared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from sparse_attention.summaries.base import Inputs, Table


class CodeIntake(Table):
    """Counts of functions from their preparation."""

    name = "code_intake"
    title = "What was read and what was left out"
    section = "code"
    category = "The code"
    order = 20
    needs = ("code_intake",)
    caption = """
    Functions that were read, and how many of them were left out, by reason.
    """

    def make(self, inputs: Inputs, setting: Mapping[str, Any]) -> pd.DataFrame:
        return inputs.rows("code_intake")
