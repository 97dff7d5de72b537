"""From which length on predicting pays."""

from __future__ import annotations

from sparse_attention.summaries.base import Table


class AttentionBreakEven(Table):
    """One row per language model, method and what is computed."""

    name = "attention_break_even"
    title = "From which length on it pays"
    section = "timings"
    category = "Real time"
    order = 10
    needs = ("attention_timings",)
    left_out = ("seed", "method", "lengths")
    timed = True
    made_by = "summarise_timings"
    caption = """
    The smallest measured length in tokens from which on a method takes less time than PyTorch's dense softmax attention
    (``faster_than_sdpa``), and than our own dense entmax attention (``faster_than_entmax``), prediction included.
    A dash: it does not at the largest measured length. ``kept`` is the share of blocks that it keeps at that length.
    """
