"""The indexer's scores against their plain definition, and a gold distribution that it can express."""

from __future__ import annotations

import pytest
import torch

from learnable import features_like, gold_like, recall_and_sparsity
from sparse_attention.attention.masks import valid_pairs
from sparse_attention.predictors.base import Context
from sparse_attention.predictors.features import Features, block_features
from sparse_attention.predictors.indexer import LightningIndexer


def new(index_heads=2, dim=3, steps=200):
    return LightningIndexer(Context(0, {"index_heads": index_heads, "dim": dim, "steps": steps}))


def with_random_weights(features, index_heads, dim):
    predictor, generator = new(index_heads, dim), torch.Generator().manual_seed(5)
    heads, width = features.shape[0], features.raw_keys.shape[-1]
    predictor.learned[features.layer] = {
        part: {
            "w": torch.randn(heads, width, size, generator=generator),
            "b": torch.randn(heads, 1, size, generator=generator),
        }
        for part, size in (("queries", index_heads * dim), ("weights", index_heads), ("keys", dim))
    }
    return predictor


def mapped(weights, head, vector):
    rows = zip(vector.double(), weights["w"][head].double(), strict=True)
    return (sum(x * row for x, row in rows) + weights["b"][head, 0]).tolist()


@pytest.mark.parametrize("keys", [1, 3, 50])
@pytest.mark.parametrize(("index_heads", "dim"), [(1, 1), (2, 3), (3, 2)])
def test_keeps_the_keys_of_highest_index_score(index_heads, dim, keys, make_features, by_definition):
    for shape in ("square", "causal", "fewer-queries", "fewer-keys", "local", "one-token"):
        features = make_features(shape)
        predictor = with_random_weights(features, index_heads, dim)
        learned, chosen = predictor.learned[features.layer], {}
        for h in range(features.shape[0]):
            of_keys = [mapped(learned["keys"], h, key) for key in features.raw_keys[h]]
            for i, query in enumerate(features.raw_queries[h]):
                low, weights = mapped(learned["queries"], h, query), mapped(learned["weights"], h, query)
                scores = [
                    sum(
                        weight * max(0.0, sum(low[g * dim + d] * key[d] for d in range(dim)))
                        for g, weight in enumerate(weights)
                    )
                    for key in of_keys
                ]
                valid = [j for j in range(features.shape[2]) if features.valid[i, j]]
                chosen[h, i] = sorted(valid, key=lambda j, scores=scores: (-scores[j], j))[:keys]
        support = predictor.support(features, keys=keys)
        assert torch.equal(support, by_definition(features, lambda h, i, j, chosen=chosen: j in chosen[h, i]))


def test_of_rectified_scores_that_are_all_zero_the_first_valid_keys_are_kept():
    vectors = torch.ones(1, 4, 1)
    features = Features(0, 0, vectors, vectors, vectors, vectors, valid_pairs(4, 4, True).flip(0))
    predictor = new(1, 1)
    side = {"w": torch.ones(1, 1, 1), "b": torch.zeros(1, 1, 1)}
    predictor.learned[0] = {"queries": side, "weights": side, "keys": {**side, "w": -side["w"]}}
    kept = predictor.support(features, keys=2)[0].int().tolist()
    assert kept == [[1, 1, 0, 0], [1, 1, 0, 0], [1, 1, 0, 0], [1, 0, 0, 0]]


def test_learns_the_keys_of_highest_low_rank_product():
    """Gold are each query's 4 keys of highest product in two hidden dimensions, more likely the higher it is."""
    maps = torch.randn(2, 2, 6, 2, generator=torch.Generator().manual_seed(0))

    def examples(count, first):
        for index in range(first, first + count):
            generator = torch.Generator().manual_seed(index)
            vectors = [torch.randn(2, 40, 6, generator=generator) + 2 for _ in range(2)]
            products = (vectors[0] @ maps[0]) @ (vectors[1] @ maps[1]).mT
            features = features_like(*vectors, causal=True, index=index)
            products = products.masked_fill(~features.valid, -torch.inf)
            best = products.topk(4, -1).indices
            support = torch.zeros(products.shape, dtype=torch.bool).scatter_(-1, best, True) & features.valid
            yield features, gold_like(support, (products / 2).softmax(-1))

    predictor = new(index_heads=4, dim=3, steps=300)
    predictor.fit(0, list(examples(16, 0)))
    recall, sparsity, gold_sparsity = recall_and_sparsity(predictor, list(examples(4, 100)), keys=4)
    assert recall >= 0.95
    assert sparsity == pytest.approx(gold_sparsity)


def test_cost_counts_maps_and_products(make_features):
    features = make_features("fewer-queries")
    per_pair = 2 * (3 + 1 + 1) + 1
    assert new(2, 3).cost(features, keys=3) == 4 * 5 * (6 + 2) + 11 * 5 * 3 + 4 * 11 * per_pair
    blocks = block_features(make_features("square"), 4)
    assert new(2, 3).cost(blocks, keys=3) == 3 * 20 * (6 + 2) + 3 * 20 * 3 + 9 * per_pair
