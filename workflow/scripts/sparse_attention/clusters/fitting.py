"""Fitting k-means clusters, and their agreement with scikit-learn."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from sparse_attention.attention.blocks import block_vectors
from sparse_attention.clusters.centroids import KEY, TIE, squared_distances
from sparse_attention.errors import InputError
from sparse_attention.jobs.options import Options
from sparse_attention.projections.model import Projections

if TYPE_CHECKING:
    from sparse_attention.qk.store import QKStore


@dataclass(frozen=True)
class ClusterOptions(Options):
    """The configuration's `fit_clusters`, without the source.

    Attributes
    ----------
    max_iterations : int
        Of k-means; from 1 on.
    initialisations : int
        k-means++ starts of the first run, of which the best is kept; from 1 on.
    """

    max_iterations: int = 100
    initialisations: int = 1


def layer_vectors(reader: QKStore, projections: Projections, layer: int, block_size: int = 1) -> Tensor:
    """Project all queries and keys of one layer, by blocks of `block_size` tokens.

    Returns
    -------
    ``(heads, vectors, block_size · dim)``, example by example, queries before keys; where one vector stands for the
    query and the key of a position (`concat`), it comes once.
    """
    parts: list[Tensor] = []
    for example in reader.examples(layer):
        sides = projections.project(layer, example.queries, example.keys)
        together = projections.setting is not None and projections.setting.concat
        parts.extend(block_vectors(side, block_size) for side in (sides[:1] if together else sides))
    return torch.cat(parts, dim=1)


def fit_clusters(
    vectors: Tensor, clusters: int, runs: int, seed: int, options: ClusterOptions | None = None, layer: int = 0,
    threads: int = 1,
) -> tuple[Tensor, list[dict[str, float]]]:  # fmt: skip
    """Fit scikit-learn's k-means to each head's vectors.

    The first run starts from k-means++ (the best of several starts), the others from random vectors, each
    with the random state `seed` + run. Centroids are rounded to float32, so that the originals' float32 files hold
    the very same ones.

    Parameters
    ----------
    vectors : ``(heads, vectors, dim)``.
    options : by default those of `ClusterOptions`.
    layer : names the rows and the error.
    threads : heads fitted at the same time, each with a single thread: results do not depend on it.

    Returns
    -------
    Centroids, float64 ``(heads, runs, clusters, dim)``, and rows of layer, head, run, inertia, iterations, vectors.
    """
    import threadpoolctl
    from sklearn.cluster import KMeans  # here, since most jobs use centroids without fitting any: a second each

    options = options or ClusterOptions()
    points = vectors.to(torch.float64).numpy()
    for head, each in enumerate(points):
        _require_distinct(each, clusters, f"layer {layer}, head {head}")

    def fit(head: int, run: int) -> KMeans:
        start = (
            {"init": "k-means++", "n_init": options.initialisations} if run == 0 else {"init": "random", "n_init": 1}
        )
        means = KMeans(clusters, max_iter=options.max_iterations, random_state=(seed + run) % 2**32, **start)
        return means.fit(points[head])

    places = list(np.ndindex(len(points), runs))
    # a thread of OpenMP's has a limit of its own
    with ThreadPoolExecutor(threads, initializer=threadpoolctl.threadpool_limits, initargs=(1,)) as pool:
        fitted = list(pool.map(lambda place: fit(*place), places))
    centroids = [means.cluster_centers_.astype(np.float32).astype(np.float64) for means in fitted]
    rows = [
        {"layer": layer, "head": head, "run": run, "inertia": means.inertia_, "iterations": means.n_iter_,
         "vectors": points.shape[1]}
        for (head, run), means in zip(places, fitted, strict=True)
    ]  # fmt: skip
    return torch.from_numpy(np.stack(centroids).reshape(len(points), runs, clusters, -1)), rows


def _require_distinct(points: np.ndarray, clusters: int, where: str) -> None:
    """Raise `InputError` when there are fewer distinct vectors than clusters; a few usually tell."""
    if len(np.unique(points[: 4 * clusters], axis=0)) >= clusters:
        return
    distinct = len(np.unique(points, axis=0))
    if distinct < clusters:
        raise InputError(
            f"{KEY}: {clusters}, but {where} has only {distinct} distinct vectors (of {len(points)} queries and keys); "
            f"allowed: at most {distinct}, or take more examples (extract_qk.examples.train)"
        )


def label_agreement(vectors: Tensor, centroids: Tensor) -> list[dict[str, int]]:
    """Compare scikit-learn's labels with torch's nearest centroids, both in float64.

    Parameters
    ----------
    vectors : ``(heads, n, dim)``.
    centroids : one layer's, ``(heads, runs, clusters, dim)``.

    Returns
    -------
    Rows of head, run, vectors, mismatches, ties. A vector whose two labels are equally near to rounding has no right
    label: it counts under ties and not under mismatches.
    """
    rows = []
    points = vectors.to(torch.float64)
    squared = squared_distances(points, centroids)
    for head, run in np.ndindex(*centroids.shape[:2]):
        theirs = _sklearn_labels(points[head].numpy(), centroids[head, run].numpy())
        near = squared[head, run]
        ours = near.argmin(-1)
        gap = near.gather(1, theirs[:, None])[:, 0] - near.gather(1, ours[:, None])[:, 0]
        scale = points[head].square().sum(-1) + centroids[head, run].square().sum(-1).max()
        differ = theirs != ours
        wrong = differ & (gap > TIE * scale)
        rows.append({"head": head, "run": run, "vectors": len(ours), "mismatches": int(wrong.sum()),
                     "ties": int((differ & ~wrong).sum())})  # fmt: skip
    return rows


def _sklearn_labels(points: np.ndarray, centroids: np.ndarray) -> Tensor:
    """Predict with a `KMeans` that has these centroids: fitted to them, as it cannot be made otherwise, then exact."""
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        means = KMeans(len(centroids), init=centroids, n_init=1, max_iter=1).fit(centroids)
    means.cluster_centers_ = np.ascontiguousarray(centroids)
    return torch.from_numpy(means.predict(points)).to(torch.int64)


def require_agreement(rows: Sequence[dict[str, int]]) -> None:
    """Raise `InputError` with the counts when any vector is a mismatch."""
    wrong = [row for row in rows if row["mismatches"]]
    if wrong:
        worst = max(wrong, key=lambda row: row["mismatches"])
        total, vectors = (sum(row[name] for row in rows) for name in ("mismatches", "vectors"))
        raise InputError(
            f"centroids: scikit-learn and torch disagree on {total} of {vectors} validation vectors, most in layer "
            f"{worst['layer']}, head {worst['head']}, run {worst['run']}: {worst['mismatches']} of {worst['vectors']}"
        )
