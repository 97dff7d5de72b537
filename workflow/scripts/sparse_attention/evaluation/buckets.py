"""Measure how a quantizer fills its buckets, and how often near pairs and gold pairs share buckets."""

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
# Exponents of the powers of two between the bins of squared distances, the same for all heads, layers and projections.
LOWEST, HIGHEST = -8, 12


def bin_names() -> list[str]:
    """Return the names of the bins of squared distances, such as `0.25-0.5` and `>4096`."""
    ends = [2.0**exponent for exponent in range(LOWEST, HIGHEST + 1)]
    return [f"{low:g}-{high:g}" for low, high in pairwise((0.0, *ends))] + [f">{ends[-1]:g}"]


BINS = bin_names()


class Analysis(NamedTuple):
    """Tables about the buckets of a quantizer.

    Attributes
    ----------
    buckets : DataFrame
        layer, head, point, side (queries or keys), examples, and the columns `FILLING`, each averaged over tables and
        then over examples. A vector that is in several buckets of a table counts in each of them.

        - buckets: number of buckets in a table;
        - entropy: of the shares of vectors in buckets, to the base of the number of buckets: 1 when all buckets hold
          equally many vectors; missing for a single bucket;
        - largest_share: share of the vectors that the fullest bucket holds;
        - empty_share: share of the buckets that hold no vector;
        - balance: largest_share × buckets, the size of the fullest bucket relative to the mean size; 1 at best;
        - outside_share: share of the vectors that are in no bucket of the table.
    common : DataFrame
        layer, point, distance_bin, common, pairs, gold_pairs: numbers of valid pairs and of gold pairs, means over
        heads and examples, by squared distance of the projected vectors and by number of common buckets.
        `distance_bin` is text: `0.25-0.5` excludes 0.25 and includes 0.5. Rows without pairs are left out.
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
    """Analyse the buckets of all points of a grid on the first examples of a split.

    Parameters
    ----------
    predictor, validation, grid, training, device
        As for `sweep.evaluate`.
    examples : int
        Maximum number of examples.
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
    """Sums of one point in one layer."""

    def __init__(self) -> None:
        self._filling: dict[str, list[np.ndarray]] = {side: [] for side in SIDES}
        self._pairs = np.zeros((2, len(BINS), 1))

    def add(self, buckets: Buckets, bins: np.ndarray, features: Features, gold: Gold) -> None:
        """Add one example."""
        for side in SIDES:
            self._filling[side].append(fillings(getattr(buckets, side).cpu().numpy(), buckets.size, buckets.tables))
        valid, gold_pairs = features.valid.cpu().numpy(), gold.support.numpy()
        sides = zip(buckets.queries.cpu().numpy(), buckets.keys.cpu().numpy(), strict=True)
        for head, (queries, keys) in enumerate(sides):
            shared = common_buckets(queries, keys)
            for kind, pairs in enumerate((valid, valid & gold_pairs[head])):
                self._count(kind, bins[head][pairs], shared[pairs])

    def _count(self, kind: int, bins: np.ndarray, shared: np.ndarray) -> None:
        """Add pairs (kind 0: valid, 1: gold) by bin of distance and number of common buckets."""
        width = max(int(shared.max(initial=0)) + 1, self._pairs.shape[2])
        self._pairs = np.pad(self._pairs, ((0, 0), (0, 0), (0, width - self._pairs.shape[2])))
        counts = np.bincount(bins * width + shared, minlength=self._pairs[kind].size)
        self._pairs[kind] += counts.reshape(-1, width)

    def filling(self) -> Iterator[dict[str, Any]]:
        """Yield a row of `FILLING` for each side and head."""
        for side, examples in self._filling.items():
            for head, row in enumerate(_mean(np.stack(examples), axis=0)):
                yield {"head": head, "side": side, **dict(zip(FILLING, row.tolist(), strict=True))}

    def common(self, divisor: int) -> Iterator[dict[str, Any]]:
        """Yield a row for each bin of distance and number of common buckets, with counts divided by `divisor`."""
        for distance_bin, shared in np.argwhere(self._pairs[0] > 0):
            pairs, gold = self._pairs[:, distance_bin, shared] / divisor
            yield {
                "distance_bin": BINS[distance_bin], "common": int(shared), "pairs": pairs, "gold_pairs": gold,
            }  # fmt: skip


def fillings(vectors: np.ndarray, size: int, tables: int) -> np.ndarray:
    """Measure how vectors fill the buckets of their head.

    Parameters
    ----------
    vectors : numpy.ndarray
        int64 ``(heads, vectors, …)``: the buckets of each vector, with the numbers of `Buckets` and −1 for none.
    size, tables : int
        Number of buckets in a table, and number of tables.

    Returns
    -------
    numpy.ndarray
        float64 ``(heads, len(FILLING))``, averaged over tables; NaN where no table holds a vector.
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
    entropy = np.bincount(table, -share * np.log(share), minlength=heads * tables)
    inside = np.unique(bucket // size * count + vector) // count
    measures = [
        np.full(heads * tables, float(size)),
        entropy / np.log(size) if size > 1 else np.full(heads * tables, np.nan),
        largest,
        1 - np.bincount(table, minlength=heads * tables) / size,
        largest * size,
        1 - np.bincount(inside, minlength=heads * tables) / count,
    ]
    found = np.stack(measures, axis=-1)
    # a table without vectors has no shares
    found[np.ix_(members == 0, [FILLING.index(name) for name in ("entropy", "largest_share", "balance")])] = np.nan
    return _mean(found.reshape(heads, tables, -1), axis=1)


def common_buckets(queries: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Count the buckets that each query of one head shares with each key.

    Parameters
    ----------
    queries, keys : numpy.ndarray
        int64 ``(queries, …)`` and ``(keys, …)``: the distinct buckets of each vector, −1 for none.

    Returns
    -------
    numpy.ndarray
        int64 ``(queries, keys)``.
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
    """Return the bin of the squared distance of each pair, int64 ``(heads, queries, keys)``; 0 is the nearest."""
    queries, keys = features.queries.double(), features.keys.double()
    squared = queries.square().sum(-1)[:, :, None] + keys.square().sum(-1)[:, None] - 2 * queries @ keys.mT
    exponent = squared.clamp(min=2.0**LOWEST).log2().ceil().clamp(max=HIGHEST + 1).long()
    return (exponent - LOWEST).cpu().numpy()


def _mean(values: np.ndarray, axis: int) -> np.ndarray:
    """Average along an axis over values that are not NaN; NaN where all are."""
    known = ~np.isnan(values)
    sums, counts = np.where(known, values, 0).sum(axis), known.sum(axis)
    return np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0)
