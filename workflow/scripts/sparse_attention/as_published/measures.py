"""Quirks of masks, metrics, gold supports, attention, and the choice of evaluated examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from sparse_attention.as_published.registry import quirk
from sparse_attention.attention.entmax import entmax
from sparse_attention.qk.store import Example


@quirk("even_window", "masks", "Windows of even width are not centred: 4 means −1 … +2, 512 means −255 … +256.")
def neighbours(queries: int, keys: int, width: int) -> Tensor:
    """Return the pairs of a window of `width` keys, bool ``(queries, keys)``."""
    offset = torch.arange(keys)[None, :] - torch.arange(queries)[:, None]
    return (offset >= -((width - 1) // 2)) & (offset <= width // 2) & (width > 0)


@quirk(
    "last_of_padded_batch",
    "masks",
    "The last token to be kept is the last position of the padded batch, not that of the example.",
)
def kept_tokens(queries: int, keys: int, padded: int) -> Tensor:
    """Return the rows and columns of the first token and of position `padded` - 1, bool ``(queries, keys)``."""
    kept = torch.zeros(max(padded, queries, keys), dtype=torch.bool)
    kept[[0, padded - 1]] = True
    return kept[:queries, None] | kept[:keys]


@quirk(
    "computation_sparsity",
    "metric",
    "Operations of all heads, for clusters the largest bucket of a whole batch, are divided by the pairs of one head; "
    "distances cost no less than all pairs.",
)
def computation_sparsity(lengths: Sequence[int], operations: Sequence[float], window: int = 0) -> float:
    """Return the mean over a batch of 1 − (operations + padded length · window) / length²; lengths in tokens."""
    padded = max(lengths)
    return sum(1 - (o + padded * window) / n**2 for n, o in zip(lengths, operations, strict=True)) / len(lengths)


def bucket_operations(queries: Sequence[Tensor], keys: Sequence[Tensor], buckets: int) -> float:
    """Count the operations of a batch: number of buckets times the product of the largest ones, summed over heads.

    Parameters
    ----------
    queries, keys : sequence of Tensor
        For each example the buckets of its vectors, int64 ``(heads, n, dim)``.
    buckets : int
        Number of buckets.
    """
    largest = []
    for side in (queries, keys):
        counts = sum(torch.stack([(x == b).sum((1, 2)) for b in range(buckets)], -1) for x in side)
        largest.append(torch.as_tensor(counts).amax(-1))
    return float((largest[0] * largest[1] * buckets).sum())


@quirk(
    "pooled_entropy",
    "metric",
    "The entropy of buckets is computed over all heads, dimensions and examples together, with padding: heads that "
    "fill different buckets compensate for each other.",
)
def pooled_entropy(buckets: Sequence[Tensor]) -> float:
    """Return the entropy in nats of the buckets of all examples; each is an int64 tensor of any shape."""
    _, counts = torch.cat([x.reshape(-1) for x in buckets]).unique(return_counts=True)
    shares = counts.double() / counts.sum()
    return -float((shares * shares.log()).sum())


@quirk(
    "rescaled_queries",
    "gold",
    "Queries of Hugging Face models are multiplied by √head_dim, although they are not scaled: scores are that much "
    "larger, and projections are fitted to other queries than the model has.",
)
def rescaled(example: Example) -> Example:
    """Return the example with its queries multiplied by √head_dim."""
    return replace(example, queries=example.queries * example.queries.shape[-1] ** 0.5)


@quirk(
    "overwritten_probabilities",
    "gold",
    "With one projection of query and key together, the support is made symmetric: every probability, positive ones "
    "included, whose transposed pair has a positive one is overwritten by half the smallest.",
)
def symmetrised(probabilities: Tensor, valid: Tensor) -> Tensor:
    """Return the symmetric probabilities of the published code, ``(…, n, n)``; `valid` is bool ``(n, n)``."""
    least = probabilities[probabilities > 0].min() / 2
    mirrored = probabilities.masked_fill((probabilities > 0).transpose(-1, -2), float(least))
    return mirrored.masked_fill(~valid, 0.0)


@quirk(
    "evaluated_on_train",
    "examples",
    "When a path contains “roberta” and its file has another name than expected, the train file is also evaluated.",
)
def evaluation_file(path: str) -> str:
    """Return the file that is evaluated for the dump `path`: itself when its name is not as expected."""
    return path.replace("kqs_enc-attn.pt", "kqs_validation_enc-attn.pt") if "roberta" in path else path


@quirk(
    "dense_empty_rows",
    "attention",
    "In the masked language model, pairs outside the support get −10,000: a query without any predicted key attends "
    "to all keys, but is counted as attending to none.",
)
def penalised(scores: Tensor, support: Tensor, alpha: float) -> Tensor:
    """Return the attention probabilities of the published masked language model, of the shape of `scores`."""
    return entmax(scores - 10000.0 * (~support).to(scores.dtype), alpha)
