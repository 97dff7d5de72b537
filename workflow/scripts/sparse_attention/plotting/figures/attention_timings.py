"""Figure: time and memory of attention over predicted blocks by length."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from sparse_attention.plotting import style
from sparse_attention.plotting.attention_timings import draw_timings
from sparse_attention.plotting.base import Plot
from sparse_attention.summaries.wording import count


class AttentionTimings(Plot):
    """A line for each predictor, and lines for dense attention."""

    name = "attention_timings"
    title = "Time of attention by length"
    section = "timings"
    category = "Real time"
    order = 10
    needs = ("attention_timings",)
    caption = """
    Median time of attention on this machine's processor, prediction and block lists included, and below it the memory
    that it takes at most, against the length of the sequence; both axes are logarithmic. A predictor pays where its
    line is below those of dense attention. Each predictor is at the setting that keeps nearest to the share of blocks
    in the title of the panel; the table says how many it keeps. Queries and keys are those of the model; beyond the
    length of an example they are those of several examples one after another, which the model never read as one
    sequence. Less than 0.1 MiB of memory is drawn at 0.1 MiB. Times depend on the machine and on its load.
    """

    def draw(self, tables: Mapping[str, pd.DataFrame], setting: Mapping[str, Any]) -> Figure:
        table = tables["attention_timings"]
        threads = count(table["threads"].iloc[0], "thread")
        return draw_timings(table, self.title, style.describe_data(setting, table, threads))
