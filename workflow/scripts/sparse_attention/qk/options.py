"""Options of the configuration section `extract_qk`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sparse_attention.jobs.options import Options


@dataclass(frozen=True)
class ExtractOptions(Options):
    """Options of the configuration section `extract_qk`, without `source`.

    Attributes
    ----------
    rescale_queries : bool
        Whether imported queries are multiplied by √head_dim, for dumps whose queries were divided by it.
    causal : bool
        Whether imported queries and keys are of causal attention, where a query sees no later key.
    validation_share : float
        Share of a single dump's documents that becomes the validation split, between 0 and 1; the last ones are taken.
    examples : mapping
        Number of extracted blocks by split, train and validation; at least 1 each.
    batch_size : int
        Blocks per batch; at least 1.
    dtype : str
        Dtype of the vectors on disk: float32, float16 or bfloat16.
    """

    rescale_queries: bool
    causal: bool
    validation_share: float
    examples: Mapping[str, int]
    batch_size: int
    dtype: str
