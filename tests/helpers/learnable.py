"""Examples whose gold support follows a known rule that predictors can learn."""

from __future__ import annotations

import torch

from sparse_attention.attention.masks import valid_pairs
from sparse_attention.predictors.features import Features
from sparse_attention.qk.gold import Gold

# name: (fitted settings, a swept point)
SETTINGS = {
    "hash_attention": ({"bits": 8, "hidden": 0, "steps": 60}, {"keys": 3}),
    "gate": ({"dim": 4, "block": 1, "steps": 60}, {"threshold": 0.5}),
    "indexer": ({"index_heads": 2, "dim": 4, "steps": 60}, {"keys": 3}),
}
HEADS, HEAD_DIM = 2, 6


def gold_like(support, weights=None) -> Gold:
    """Return a gold support with probabilities in proportion to `weights`, by default equal for all keys of a query."""
    dense = support.double() if weights is None else torch.where(support, weights.double(), 0.0)
    dense = dense / dense.sum(-1, keepdim=True).clamp(min=1e-300)
    return Gold(support, dense[support].float())


def features_like(queries, keys, causal=False, layer=0, index=0) -> Features:
    valid = valid_pairs(queries.shape[1], keys.shape[1], causal)
    return Features(layer, index, queries, keys, queries, keys, valid)


def same_code(count, bits=3, queries=20, keys=32, causal=False, first=0, run=1, layer=0):
    """Return examples in which the gold keys of a query are the keys with the same code.

    A code has `bits` signs. Vectors are codes times a matrix, which differs between heads and between queries and keys,
    plus a constant and a little noise. `run` consecutive tokens have the same code. Without `causal` all queries have
    the same number of gold keys.
    """
    fixed = torch.Generator().manual_seed(0)
    matrices, centres = torch.randn(2, HEADS, bits, HEAD_DIM, generator=fixed), torch.tensor([[[3.0]], [[-50.0]]])
    examples = []
    for index in range(first, first + count):
        generator = torch.Generator().manual_seed(1000 + index)
        asked = torch.randint(2**bits, (HEADS, queries // run), generator=generator)
        offered = torch.stack([torch.randperm(keys // run, generator=generator) % 2**bits for _ in range(HEADS)])
        codes = [code.repeat_interleave(run, 1) for code in (asked, offered)]
        vectors = []
        for side, code in enumerate(codes):
            signs = 2.0 * (code[..., None] >> torch.arange(bits) & 1) - 1
            noise = 0.05 * torch.randn(*code.shape, HEAD_DIM, generator=generator)
            vectors.append(signs @ matrices[side] + noise + centres[side])
        features = features_like(*vectors, causal=causal, layer=layer, index=index)
        support = (codes[0][:, :, None] == codes[1][:, None, :]) & features.valid
        examples.append((features, gold_like(support)))
    return examples


def recall_and_sparsity(predictor, examples, **point):
    """Return recall, sparsity and gold sparsity over all pairs of all examples."""
    hit = gold_pairs = kept = valid = 0
    for features, gold in examples:
        support = predictor.support(features, **point)
        hit += int((support & gold.support).sum())
        gold_pairs += int(gold.support.sum())
        kept += int(support.sum())
        valid += int(features.valid.sum()) * features.shape[0]
    return hit / gold_pairs, 1 - kept / valid, 1 - gold_pairs / valid
