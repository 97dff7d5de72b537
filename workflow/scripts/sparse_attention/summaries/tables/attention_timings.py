"""Times of attention over predicted blocks, and of dense attention."""

from __future__ import annotations

from sparse_attention.summaries.base import Table


class AttentionTimings(Table):
    """One row per language model, length, method and what is computed."""

    name = "attention_timings"
    title = "Times of attention"
    section = "timings"
    category = "Real time"
    order = 20
    needs = ("attention_timings",)
    left_out = ("seed", "method", "threads", "kernel")
    folded = "Every time"
    timed = True
    made_by = "summarise_timings"
    caption = """
    Medians in milliseconds on this machine's processor, at each ``length`` in tokens: ``predict_ms`` from queries and
    keys to kept blocks or buckets, ``build_ms`` from there to block lists, ``attend_ms`` over the lists, ``total_ms``
    their sum. ``sdpa_ms`` is PyTorch's dense softmax attention on the same inputs, and ``speedup`` how many times
    faster the row is. Each predictor is at the point that keeps nearest to the ``asked`` share of the blocks, and
    ``kept`` is what it keeps; a ``block`` of 0 tokens is dense attention. Quantizers are timed with blocks of
    neighbouring tokens and with tokens sorted by bucket (``order``). Beyond the length of an example, queries and keys
    are those of several examples one after another, which the model never read as one sequence. Projections and values
    are random. ``peak_mib`` is the memory beyond what was held before, in MiB.
    """
