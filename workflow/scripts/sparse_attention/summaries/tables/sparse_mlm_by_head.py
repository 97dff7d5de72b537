"""The language model under predicted attention, by layer and head."""

from __future__ import annotations

from sparse_attention.summaries.base import Table


class SparseMlmByHead(Table):
    """Means over seeds; made by `sparse_mlm_tables`."""

    name = "sparse_mlm_by_head"
    title = "The language model under predicted attention by layer and head"
    section = "sparse_mlm"
    category = "The language model under predicted attention"
    order = 20
    needs = ("sparse_mlm_losses", "sparse_mlm_heads", "full_mlm_losses")
    large = True
    made_by = "summarise_sparse_mlm"
    caption = """
    The supports and outputs of every point for each layer and head, averaged over seeds, against full attention on
    the activations that reach the layer (``gold`` is ``current``) and against the model that runs with full attention
    everywhere (``dense``).
    """
