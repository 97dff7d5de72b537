"""Fit k-means clusters, and check that our nearest centroids are scikit-learn's labels."""

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
    """Options of the configuration section `fit_clusters`, without `source`.

    Attributes
    ----------
    max_iterations : int
        Maximum number of k-means iterations; at least 1.
    initialisations : int
        Number of k-means++ starts of the first run, of which the best is kept; at least 1.
    """

    max_iterations: int = 100
    initialisations: int = 1


def layer_vectors(reader: QKStore, projections: Projections, layer: int, block_size: int = 1) -> Tensor:
    """Project all queries and keys of one layer.

    Parameters
    ----------
    reader : QKStore
        Stored queries and keys.
    projections : Projections
        The projections to apply.
    layer : int
        Number of the layer.
    block_size : int
        Number of tokens whose projected vectors are concatenated to one vector.

    Returns
    -------
    Tensor
        ``(heads, vectors, block_size · dim)``, example by example, queries before keys. With `concat`, the query and
        the key of a position have one projected vector, which is listed once.
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
    """Fit scikit-learn's k-means to the vectors of each head.

    The first run starts from k-means++ (the best of several starts), the other runs from random vectors; the random
    state of a run is `seed` + run. Centroids are rounded to float32, so that float32 files in the format of the
    original code hold exactly the same ones.

    Parameters
    ----------
    vectors : Tensor
        ``(heads, vectors, dim)``.
    clusters, runs : int
        Number of clusters, and of independent runs.
    seed : int
        Random state of the first run.
    options : ClusterOptions, optional
        By default `ClusterOptions()`.
    layer : int
        Number of the layer, for the returned rows and the error message.
    threads : int
        Number of fits at the same time, each with a single thread; results do not depend on it.

    Returns
    -------
    centroids : Tensor
        float64 ``(heads, runs, clusters, dim)``.
    rows : list of dict
        layer, head, run, inertia, iterations, vectors.

    Raises
    ------
    InputError
        When a head has fewer distinct vectors than clusters.
    """
    import threadpoolctl
    from sklearn.cluster import KMeans  # imported here: it takes a second, and most jobs only read centroids

    options = options or ClusterOptions()
    points = vectors.to(torch.float64).numpy()
    for head, head_points in enumerate(points):
        _require_distinct(head_points, clusters, f"layer {layer}, head {head}")

    def fit(head: int, run: int) -> KMeans:
        start = (
            {"init": "k-means++", "n_init": options.initialisations} if run == 0 else {"init": "random", "n_init": 1}
        )
        means = KMeans(clusters, max_iter=options.max_iterations, random_state=(seed + run) % 2**32, **start)
        return means.fit(points[head])

    places = list(np.ndindex(len(points), runs))
    # OpenMP's limit holds per thread, so each worker sets its own
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
    """Raise `InputError` when there are fewer distinct vectors than clusters; the first vectors usually suffice."""
    if len(np.unique(points[: 4 * clusters], axis=0)) >= clusters:
        return
    distinct = len(np.unique(points, axis=0))
    if distinct < clusters:
        raise InputError(
            f"{KEY}: {clusters}, but {where} has {distinct} distinct vectors among {len(points)} queries and keys; "
            f"allowed: at most {distinct}, or more examples (extract_qk.examples.train)"
        )


def label_agreement(vectors: Tensor, centroids: Tensor) -> list[dict[str, int]]:
    """Compare scikit-learn's labels with torch's nearest centroids, both in float64.

    Parameters
    ----------
    vectors : Tensor
        ``(heads, n, dim)``.
    centroids : Tensor
        Those of one layer, ``(heads, runs, clusters, dim)``.

    Returns
    -------
    list of dict
        head, run, vectors, mismatches, ties. A vector whose two labels differ, but whose distances to both centroids
        are equal up to rounding, counts as a tie and not as a mismatch.
    """
    rows = []
    points = vectors.to(torch.float64)
    squared = squared_distances(points, centroids)
    for head, run in np.ndindex(*centroids.shape[:2]):
        theirs = _sklearn_labels(points[head].numpy(), centroids[head, run].numpy())
        distances = squared[head, run]
        ours = distances.argmin(-1)
        gap = distances.gather(1, theirs[:, None])[:, 0] - distances.gather(1, ours[:, None])[:, 0]
        scale = points[head].square().sum(-1) + centroids[head, run].square().sum(-1).max()
        differ = theirs != ours
        wrong = differ & (gap > TIE * scale)
        rows.append({"head": head, "run": run, "vectors": len(ours), "mismatches": int(wrong.sum()),
                     "ties": int((differ & ~wrong).sum())})  # fmt: skip
    return rows


def _sklearn_labels(points: np.ndarray, centroids: np.ndarray) -> Tensor:
    """Predict labels with a `KMeans` of these centroids; scikit-learn needs it fitted first."""
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        means = KMeans(len(centroids), init=centroids, n_init=1, max_iter=1).fit(centroids)
    means.cluster_centers_ = np.ascontiguousarray(centroids)
    return torch.from_numpy(means.predict(points)).to(torch.int64)


def require_agreement(rows: Sequence[dict[str, int]]) -> None:
    """Raise `InputError` with the counts when any row of `label_agreement` has mismatches."""
    wrong = [row for row in rows if row["mismatches"]]
    if wrong:
        worst = max(wrong, key=lambda row: row["mismatches"])
        total, vectors = (sum(row[name] for row in rows) for name in ("mismatches", "vectors"))
        raise InputError(
            f"centroids: scikit-learn and torch disagree on {total} of {vectors} validation vectors, most in layer "
            f"{worst['layer']}, head {worst['head']}, run {worst['run']}: {worst['mismatches']} of {worst['vectors']}"
        )
