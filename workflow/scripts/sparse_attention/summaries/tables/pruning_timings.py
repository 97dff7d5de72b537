"""How long the pruned classifiers take."""

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
    How long the classifiers take for the same test functions: ``padded`` is the library's own pass, ``unpadded``
    removes padding and prunes nothing, ``masked`` hides pruned tokens, ``dropped`` removes them; ``speedup`` is
    over ``unpadded`` at the same batch size. Times depend on the machine and on what else runs there.
    """
