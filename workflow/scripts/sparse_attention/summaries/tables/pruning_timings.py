"""Times of the pruned classifiers."""

from __future__ import annotations

from sparse_attention.summaries.base import Table


class PruningTimings(Table):
    """Means over seeds, one row per pruning, batch size and way."""

    name = "pruning_timings"
    title = "Times"
    section = "pruning"
    category = "The pruned classifiers"
    order = 50
    needs = ("timings",)
    left_out = ("seeds", "tokens")
    timed = True
    made_by = "summarise_timings"
    caption = """
    Times of the classifiers on the same test functions: ``padded`` is the forward pass of the library, ``unpadded``
    removes padding and prunes nothing, ``masked`` hides pruned tokens, ``dropped`` removes them; ``speedup`` is
    relative to ``unpadded`` at the same batch size. Times depend on the machine and on its load.
    """
