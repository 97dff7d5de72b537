"""Gains of pruning over the dense classifier."""

from __future__ import annotations

from sparse_attention.summaries.base import Table


class PruningGains(Table):
    """Made by `quality_tables`."""

    name = "pruning_gains"
    title = "Gains over the dense classifier"
    section = "pruning"
    category = "The pruned classifiers"
    order = 20
    needs = ("predictions", "kept")
    large = True
    made_by = "summarise_pruning"
    caption = """
    The gain of each system over the dense classifier of the same seed and way, by metric, with the bootstrap
    interval (95 %) of the paired difference.
    """
