"""Quality and cost of the pruned classifiers."""

from __future__ import annotations

from sparse_attention.summaries.base import Table


class Pruning(Table):
    """Made by `quality_tables`."""

    name = "pruning"
    title = "Every system and way"
    section = "pruning"
    category = "The pruned classifiers"
    order = 10
    needs = ("predictions", "kept")
    left_out = ("functions", "positive", "seeds", "precision", "recall", "gflops", "*_low", "*_high")
    made_by = "summarise_pruning"
    caption = """
    Quality and cost of every system on the test functions. ``masked`` hides pruned tokens, ``dropped`` removes them
    and padding; ``gflops`` is the cost of all layers per function, ``relative_flops`` its ratio to the cost of the
    dense library model without padding.
    Intervals (95 %) are bootstrap intervals over functions, and over seeds when there are several. Where
    they were run, ``manual``, ``topk`` and ``random`` keep as many tokens as ``hard``, with its weights, but choose
    them by other rules; ``text`` removes tokens before the dense classifier reads the function.
    """
