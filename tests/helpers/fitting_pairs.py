"""Examples to which tests fit projections, and their loss in plain Python."""

from __future__ import annotations

from types import SimpleNamespace

import torch

from sparse_attention.projections.batches import Pairs


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def distance(query, key, kind):
    squares = [(a - b) ** 2 for a, b in zip(query.tolist(), key.tolist(), strict=True)]
    return sum(squares) if kind == "l2" else min(squares)


def plain_loss(queries, keys, support, negatives, valid, margin, kind):
    """Return the hinge loss of each head in plain Python loops: the mean over the queries of one example."""
    heads = []
    for head in range(queries.shape[0]):
        losses = []
        for i in range(queries.shape[1]):
            if not valid[i].any():
                continue
            total = margin
            for j in range(keys.shape[1]):
                if support[head, i, j]:
                    total += distance(queries[head, i], keys[head, j], kind)
                if negatives[head, i, j]:
                    total -= distance(queries[head, i], keys[head, j], kind)
            losses.append(max(0.0, total))
        heads.append(sum(losses) / len(losses))
    return heads


class Store:
    """Queries, keys and gold supports in memory, with the methods of both `QKReader` and `GoldReader`."""

    def __init__(self, examples, causal=False):
        self.items = examples
        shapes = [(queries.shape[1], keys.shape[1]) for queries, keys, _ in examples]
        self.info = SimpleNamespace(
            heads=examples[0][0].shape[0], head_dim=examples[0][0].shape[2],
            query_lengths=tuple(n for n, _ in shapes), key_lengths=tuple(m for _, m in shapes),
        )  # fmt: skip
        self.causal = causal

    def example(self, layer, index):
        queries, keys, support = self.items[index]
        valid = torch.ones(support.shape[1:], dtype=torch.bool)
        return SimpleNamespace(
            queries=queries, keys=keys, support=support, valid=valid.tril() if self.causal else valid
        )


def planted(examples=12, heads=2, seed=0, head_dim=6, lengths=(14, 9, 20), causal=False) -> Pairs:
    """Return examples in which tokens of four kinds attend to their own kind.

    Two dimensions encode the kind; the other dimensions are large noise.
    """
    draws = generator(seed)
    corners = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    items = []
    for index in range(examples):
        n = lengths[index % len(lengths)]
        kinds = torch.randint(4, (heads, n), generator=draws)
        vectors = [
            torch.cat([corners[kinds] + 0.1 * torch.randn(heads, n, 2, generator=draws),
                       3 * torch.randn(heads, n, head_dim - 2, generator=draws)], -1)
            for _ in range(2)
        ]  # fmt: skip
        support = kinds[:, :, None] == kinds[:, None, :]
        items.append((*vectors, support.tril() if causal else support))
    store = Store(items, causal)
    return Pairs(store, store)
