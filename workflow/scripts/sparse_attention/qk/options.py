"""What the configuration says of queries and keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sparse_attention.jobs.options import Options


@dataclass(frozen=True)
class ExtractOptions(Options):
    """The configuration's `extract_qk`, without the source.

    Attributes
    ----------
    rescale_queries : bool
        Whether imported queries are multiplied by √head_dim, since they are already scaled.
    causal : bool
        Whether an imported query sees no later key.
    validation_share : float
        The last share of a single dump's documents, which becomes the validation split; between 0 and 1.
    examples : mapping
        Blocks of train and of validation that are extracted; from 1 on.
    batch_size : int
        Blocks of a batch; from 1 on.
    dtype : str
        Of the numbers on disk: float32, float16 or bfloat16.
    """

    rescale_queries: bool
    causal: bool
    validation_share: float
    examples: Mapping[str, int]
    batch_size: int
    dtype: str
