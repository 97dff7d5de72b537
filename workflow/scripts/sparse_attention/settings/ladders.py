"""Points at which predictors are timed, from few kept blocks to many; works without torch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

Setting = tuple[dict[str, Any], dict[str, Any]]
"""Fitted settings, and a point."""
STEPS = 3  # of learning: the values that are learned do not change the time


def powers(first: int, last: int, ratio: float = 1.4) -> list[int]:
    """Return whole numbers that grow by about a ratio."""
    found, value = [], float(first)
    while round(value) < last:
        found.append(round(value))
        value *= ratio
    return sorted({*found, last})


def falling(first: float, last: float, count: int = 24) -> list[float]:
    """Return numbers from `first` down to `last`, in equal ratios."""
    return [first * (last / first) ** (step / (count - 1)) for step in range(count)]


SHARES = [round(0.995 - 0.03 * step, 3) for step in range(33)]  # of what is left out
DISTANCES = falling(1e-6, 1e3, 60)


def swept(name: str, values: Iterable[Any], fixed: dict[str, Any] | None = None, **others: Any) -> list[Setting]:
    """Return points that differ in one setting."""
    return [(fixed or {}, {**others, name: value}) for value in values]


def fitted(name: str, values: Iterable[int], fixed: dict[str, Any] | None = None, **others: Any) -> list[Setting]:
    """Return points that differ in one fitted setting."""
    return [({**(fixed or {}), name: value}, others) for value in values]


LADDERS: dict[str, Callable[[int, int], list[Setting]]] = {
    "bigbird": lambda n, b: swept("random_keys", [0, *powers(1, n)]),
    "calibrated": lambda n, b: swept("sparsity", SHARES, distance="l2"),
    "cos": lambda n, b: swept("threshold", falling(1e-6, 2, 60)),
    "direction": lambda n, b: swept("threshold", DISTANCES, p=2),
    "dynamic": lambda n, b: swept("bucket_size", powers(1, n), temperature=1.0),
    "entmax": lambda n, b: swept("alpha", falling(2, 1.05)),
    "euclidean": lambda n, b: swept("threshold", DISTANCES),
    "fixed": lambda n, b: swept("bucket_size", powers(1, n)),
    "gate": lambda n, b: swept("threshold", falling(0.999, 1e-6, 60), {"dim": 16, "block": b, "steps": STEPS}),
    "gaussian_pages": lambda n, b: swept("probability", falling(0.99, 1e-9, 40), page=16, alpha=1.5, mixture=False),
    "hash_attention": lambda n, b: swept("keys", powers(1, n), {"bits": 16, "hidden": 0, "steps": STEPS}),
    "indexer": lambda n, b: swept("keys", powers(1, n), {"index_heads": 2, "dim": 8, "steps": STEPS}),
    "kmeans": lambda n, b: fitted("clusters", powers(2, max(2, n // b))[::-1], {"runs": 1}, top=1),
    "l2": lambda n, b: swept("threshold", DISTANCES),
    "longformer": lambda n, b: swept("global_tokens", powers(1, n)),
    "min": lambda n, b: swept("threshold", DISTANCES),
    "min_norm": lambda n, b: swept("threshold", DISTANCES, p=2),
    "minkowski": lambda n, b: swept("threshold", DISTANCES, p=1),
    "oracle": lambda n, b: swept("keys", powers(1, n)),
    "pca": lambda n, b: swept("keys", powers(1, n), dim=8),
    "quest": lambda n, b: swept("pages", powers(1, max(1, n // 16)), page=16),
    "random": lambda n, b: swept("sparsity", [1 - share for share in falling(1e-6, 1, 40)]),
    "reformer": lambda n, b: swept("buckets", [2 * x for x in powers(1, max(1, n // b))[::-1]], rounds=1, tied=False),
    "routing": lambda n, b: swept("clusters", powers(2, max(2, n // b))[::-1], membership="first"),
    "routing_kmeans": lambda n, b: fitted("clusters", powers(2, max(2, n // b))[::-1], {"runs": 1}, membership="first"),
    "routing_trained": lambda n, b: fitted("clusters", powers(2, max(2, n // b))[::-1], membership="first"),
    "simhash": lambda n, b: swept("bits", range(12, 0, -1), tables=4, collisions=2),
    "sparq": lambda n, b: swept("keys", powers(1, n), channels=8),
    "strided": lambda n, b: swept("stride", powers(b, max(b, math.isqrt(b * n)))[::-1], expressivity=1),
    "window": lambda n, b: swept("width", [2 * reach + 1 for reach in [0, *powers(1, n)]]),
    "xattention": lambda n, b: swept("threshold", falling(0.001, 1, 60), block=b, stride=min(16, b)),
}
"""For each predictor a function of the length and the block size: points, the fewest kept pairs first."""
