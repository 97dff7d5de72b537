"""How good the pruned classifiers are, and what they cost."""

from __future__ import annotations

from sparse_attention.summaries.base import Table


class Pruning(Table):
    """See `quality_tables`."""

    name = "pruning"
    title = "Every system and way"
    section = "pruning"
    category = "The pruned classifiers"
    order = 10
    needs = ("predictions", "kept")
    left_out = ("functions", "positive", "seeds", "precision", "recall", "gflops", "*_low", "*_high")
    made_by = "summarise_pruning"
    caption = """
    Quality and cost of every system on the test functions, which are read once. ``masked`` hides tokens,
    ``dropped`` removes them, padding too; ``gflops`` are those of the layers per function, ``relative_flops`` their
    share of the dense library model without padding.
    Intervals (95 %) are bootstrap intervals over functions, and over seeds when there are several. ``manual``,
    ``topk`` and ``random`` choose as many tokens by other rules with the weights of ``hard``, ``text`` leaves them
    out before the dense classifier reads.
    """
