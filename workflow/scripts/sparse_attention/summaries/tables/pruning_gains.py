"""What pruning gains over the dense classifier."""

from __future__ import annotations

from sparse_attention.summaries.base import Table


class PruningGains(Table):
    """See `quality_tables`."""

    name = "pruning_gains"
    title = "Gains over the dense classifier"
    section = "pruning"
    category = "The pruned classifiers"
    order = 20
    needs = ("predictions", "kept")
    large = True
    made_by = "summarise_pruning"
    caption = """
    What each system gains over the dense classifier of the same seed and way, by metric, with the bootstrap
    interval (95 %) of the paired difference.
    """
