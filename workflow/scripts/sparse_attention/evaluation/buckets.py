"""How a quantizer fills its buckets, and whether near pairs and gold pairs share them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from sparse_attention.evaluation.examples import Split, fit_layer, on_device
from sparse_attention.evaluation.sweep import point_name
from sparse_attention.jobs.progress import ProgressBar
from sparse_attention.settings.grids import product

if TYPE_CHECKING:
    from sparse_attention.attention.supports import Buckets
    from sparse_attention.predictors.base import BucketPredictor
    from sparse_attention.predictors.features import Features
    from sparse_attention.qk.gold import Gold

SIDES = ("queries", "keys")
FILLING = ("buckets", "entropy", "largest_share", "empty_share", "balance", "outside_share")
# Exponents of the powers of two that end the bins of squared distances: the same for all heads, layers and projections.
LOWEST, HIGHEST = -8, 12


def bin_names() -> list[str]:
    """Return the bins of squared distances as text."""
    ends = [2.0**exponent for exponent in range(LOWEST, HIGHEST + 1)]
    return [f"{low:g}-{high:g}" for low, high in pairwise((0.0, *ends))] + [f">{ends[-1]:g}"]


BINS = bin_names()


class Analysis(NamedTuple):
    """What a quantizer does.

    Attributes
    ----------
    buckets : DataFrame
        layer, head, point, side, examples, and `FILLING`, each averaged over tables and then over examples. A vector
        that is in several buckets of a table counts in each.

        - buckets: number of buckets in a table;
        - entropy: of the buckets' shares, to the base of their number: 1 when all hold as many; missing for one bucket;
        - largest_share: of the fullest bucket; empty_share: of the buckets that hold nothing;
        - balance: largest_share × buckets, 1 at best: how often the average bucket fits into the fullest;
        - outside_share: of the vectors that are in no bucket of the table.
    common : DataFrame
        layer, point, distance_bin, common, pairs, gold_pairs: the valid pairs, and those of the gold support, by
        squared distance of the vectors that the predictor gets and by number of buckets in common, the means over heads
        and examples. `distance_bin` is text: `0.25-0.5` without 0.25 and with 0.5, `>4096`. Rows without pairs are left
        out.
    """

    buckets: pd.DataFrame
    common: pd.DataFrame


def analyse(
    predictor: BucketPredictor,
    validation: Split,
    grid: Mapping[str, Any],
    examples: int,
    training: Split | None = None,
    device: str = "cpu",
) -> Analysis:
    """Look at all points of a grid on the first examples of a split.

    Parameters
    ----------
    predictor, validation, grid, training, device
        As for `evaluate`.
    examples : int
        How many at most.
    """
    points, layers = product(dict(grid)), validation.info.layers
    examples = min(examples, validation.info.examples)
    filling, common = [], []
    bar = ProgressBar(layers * examples, f"buckets of {predictor.name}")
    for layer in range(layers):
        fit_layer(predictor, layer, training)
        sums = [_Sums() for _ in points]
        for index, (tokens, gold) in enumerate(islice(validation.layer(layer), examples)):
            features = on_device(tokens, device)
            prepared = predictor.prepare(features)
            bins = distance_bins(features)
            for point, sum_ in zip(points, sums, strict=True):
                sum_.add(predictor.buckets(prepared, **point), bins, features, gold)
            bar.update(layer * examples + index + 1)
        for point, sum_ in zip(points, sums, strict=True):
            place = {"layer": layer, "point": point_name(predictor, point)}
            filling += [place | row | {"examples": examples} for row in sum_.filling()]
            common += [place | row for row in sum_.common(validation.info.heads * examples)]
    order = ["layer", "head", "point", "side", "examples", *FILLING]
    pairs = ["layer", "point", "distance_bin", "common", "pairs", "gold_pairs"]
    return Analysis(pd.DataFrame(filling, columns=order), pd.DataFrame(common, columns=pairs))


class _Sums:
    """Collects one point in one layer."""

    def __init__(self) -> None:
        self._filling: dict[str, list[np.ndarray]] = {side: [] for side in SIDES}
        self._pairs = np.zeros((2, len(BINS), 1))

    def add(self, buckets: Buckets, bins: np.ndarray, features: Features, gold: Gold) -> None:
        """Add one example."""
        for side in SIDES:
            self._filling[side].append(fillings(getattr(buckets, side).cpu().numpy(), buckets.size, buckets.tables))
        valid, wanted = features.valid.cpu().numpy(), gold.support.numpy()
        sides = zip(buckets.queries.cpu().numpy(), buckets.keys.cpu().numpy(), strict=True)
        for head, (queries, keys) in enumerate(sides):
            shared = common_buckets(queries, keys)
            for place, pairs in enumerate((valid, valid & wanted[head])):
                self._count(place, bins[head][pairs], shared[pairs])

    def _count(self, place: int, bins: np.ndarray, shared: np.ndarray) -> None:
        width = max(int(shared.max(initial=0)) + 1, self._pairs.shape[2])
        self._pairs = np.pad(self._pairs, ((0, 0), (0, 0), (0, width - self._pairs.shape[2])))
        counts = np.bincount(bins * width + shared, minlength=self._pairs[place].size)
        self._pairs[place] += counts.reshape(-1, width)

    def filling(self) -> Iterator[dict[str, Any]]:
        """Yield a row per side and head."""
        for side, examples in self._filling.items():
            for head, row in enumerate(_mean(np.stack(examples), axis=0)):
                yield {"head": head, "side": side, **dict(zip(FILLING, row.tolist(), strict=True))}

    def common(self, parts: int) -> Iterator[dict[str, Any]]:
        """Yield a row per bin of distance and number of common buckets, divided by `parts`."""
        for place, shared in np.argwhere(self._pairs[0] > 0):
            pairs, gold = self._pairs[:, place, shared] / parts
            yield {
                "distance_bin": BINS[place], "common": int(shared), "pairs": pairs, "gold_pairs": gold,
            }  # fmt: skip


def fillings(vectors: np.ndarray, size: int, tables: int) -> np.ndarray:
    """Measure how vectors fill the buckets of their head.

    Parameters
    ----------
    vectors : numpy.ndarray
        int64 `(heads, vectors, …)`: the buckets of each vector, numbered and −1 for none as in `Buckets`.
    size, tables : int
        Buckets of a table, and tables.

    Returns
    -------
    numpy.ndarray
        float64 `(heads, FILLING)`, averaged over tables; NaN where no table holds a vector.
    """
    heads, count, _ = vectors.shape
    head, vector, _ = np.nonzero(vectors >= 0)
    bucket = head * (size * tables) + vectors[vectors >= 0]
    cells, held = np.unique(bucket, return_counts=True)
    table = cells // size
    members = np.bincount(table, held, minlength=heads * tables)
    share = held / members[table]
    largest = np.zeros(heads * tables)
    np.maximum.at(largest, table, share)
    bits = np.bincount(table, -share * np.log(share), minlength=heads * tables)
    inside = np.unique(bucket // size * count + vector) // count
    measures = [
        np.full(heads * tables, float(size)),
        bits / np.log(size) if size > 1 else np.full(heads * tables, np.nan),
        largest,
        1 - np.bincount(table, minlength=heads * tables) / size,
        largest * size,
        1 - np.bincount(inside, minlength=heads * tables) / count,
    ]
    found = np.stack(measures, axis=-1)
    # of nothing there are no shares
    found[np.ix_(members == 0, [FILLING.index(name) for name in ("entropy", "largest_share", "balance")])] = np.nan
    return _mean(found.reshape(heads, tables, -1), axis=1)


def common_buckets(queries: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Count the buckets that each query of one head shares with each key.

    Parameters
    ----------
    queries, keys : numpy.ndarray
        int64 `(queries, …)` and `(keys, …)`: the different buckets of each vector, −1 for none.

    Returns
    -------
    numpy.ndarray
        int64 `(queries, keys)`.
    """
    numbers, code = np.unique(np.append(queries, keys), return_inverse=True)
    of_queries, of_keys = code[: queries.size].reshape(queries.shape), code[queries.size :].reshape(keys.shape)
    members = np.zeros((len(numbers), len(keys)), dtype=np.int64)
    members[of_keys, np.arange(len(keys))[:, None]] = 1
    members[numbers < 0] = 0
    shared = np.zeros((len(queries), len(keys)), dtype=np.int64)
    for column in of_queries.T:
        shared += members[column]
    return shared


def distance_bins(features: Features) -> np.ndarray:
    """Return the bin of each pair's squared distance, int64 `(heads, queries, keys)`, 0 for the nearest."""
    queries, keys = features.queries.double(), features.keys.double()
    squared = queries.square().sum(-1)[:, :, None] + keys.square().sum(-1)[:, None] - 2 * queries @ keys.mT
    exponent = squared.clamp(min=2.0**LOWEST).log2().ceil().clamp(max=HIGHEST + 1).long()
    return (exponent - LOWEST).cpu().numpy()


def _mean(values: np.ndarray, axis: int) -> np.ndarray:
    """Average what is known; NaN where nothing is."""
    known = ~np.isnan(values)
    sums, counts = np.where(known, values, 0).sum(axis), known.sum(axis)
    return np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0)
