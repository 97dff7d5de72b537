"""A few points for every predictor, with values that suit the small examples of the tests."""

from __future__ import annotations

from sparse_attention.settings.grids import product

# name: (fitted settings, swept settings)
GRIDS = {
    "bigbird": ({}, {"random_keys": [0, 1, 3]}),
    "calibrated": ({}, {"distance": ["cos", "l2", "min", "min_norm"], "sparsity": [0.3, 0.9]}),
    "cos": ({}, {"threshold": [0.1, 0.5, 1.0]}),
    "direction": ({}, {"p": [1.0, 2.0, float("inf")], "threshold": [0.3, 1.2, [0.3, 0.6, 1.2]]}),
    "dynamic": ({}, {"bucket_size": [2, 4], "temperature": [0.5, 1.0]}),
    "entmax": ({}, {"alpha": [1.2, 1.5, 2.0]}),
    "euclidean": ({}, {"threshold": [0.3, 1.0, [0.3, 1.0, 1.4]]}),
    "fixed": ({}, {"bucket_size": [2, 4]}),
    "hash_attention": ({"bits": 4, "hidden": 0, "steps": 3}, {"keys": [1, 3]}),
    "indexer": ({"index_heads": 2, "dim": 3, "steps": 3}, {"keys": [1, 3]}),
    "kmeans": ({"clusters": 5, "runs": 2}, {"top": [1, 2]}),
    "gate": ({"dim": 3, "block": 2, "steps": 3}, {"threshold": [0.2, 0.6]}),
    "gaussian_pages": ({}, {"page": [1, 4], "alpha": 1.5, "mixture": [True, False], "probability": [0.05, 0.5]}),
    "l2": ({}, {"threshold": [0.1, 0.5, 1.0, [0.1, 1.0, 2.0]]}),
    "longformer": ({}, {"global_tokens": [1, 3]}),
    "min": ({}, {"threshold": [0.01, 0.3, [0.01, 0.1, 1.0]]}),
    "min_norm": ({}, {"p": [1.0, 2.0], "threshold": [0.01, 0.3, [0.01, 0.1, 0.3]]}),
    "minkowski": ({}, {"p": [1.0, 3.0, float("inf")], "threshold": [0.3, 1.0, [0.3, 1.0, 2.0]]}),
    "oracle": ({}, {"keys": [1, 3]}),
    "pca": ({}, {"dim": [1, 3], "keys": [1, 3]}),
    "quest": ({}, {"page": [2, 4], "pages": [1, 2]}),
    "random": ({}, {"sparsity": [0.1, 0.9]}),
    "reformer": ({}, {"buckets": [4, 8], "rounds": [1, 3], "tied": [False, True]}),
    "routing": ({}, {"clusters": [2, 3], "membership": ["first", "all"]}),
    "routing_kmeans": ({"clusters": 5, "runs": 2}, {"membership": ["first", "all"]}),
    "routing_trained": ({"clusters": 3}, {"membership": ["first", "all"]}),
    "simhash": ({}, {"bits": [2, 3], "tables": 4, "collisions": [1, 2]}),
    "sparq": ({}, {"channels": [1, 3], "keys": [1, 3]}),
    "strided": ({}, {"stride": [2, 4], "expressivity": [1, 2]}),
    "window": ({}, {"width": [0, 1, 3]}),
    "xattention": ({}, {"block": 4, "stride": [2, 4], "threshold": [0.2, 0.6]}),
}
# predictors that draw random numbers
CHANCE = ("bigbird", "random", "longformer", "reformer", "routing")


def points(name: str) -> list[dict]:
    """Return the swept settings of every point of a predictor."""
    return product(GRIDS[name][1])
