"""k-means clusters of projected queries and keys: fit, store, nearest centroids, and agreement with scikit-learn."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from sparse_attention.attention.blocks import block_vectors
from sparse_attention.errors import InputError
from sparse_attention.projections import Projections
from sparse_attention.scriptio import atomic_path
from sparse_attention.sklearn_pickles import is_pickle
from sparse_attention.sklearn_pickles import read_centroids as read_pickled_centroids
from sparse_attention.torch_files import StrPath, is_safetensors, read_safetensors, read_torch, write_torch

KEY = "predictors.kmeans.clusters"
TIE = 1e-12  # two squared distances that differ by less, relative to the vectors' squared norms, are equal to rounding


@dataclass(frozen=True)
class Centroids:
    """The centroids of all layers, each float64 `(heads, runs, clusters, dim)`."""

    layers: tuple[Tensor, ...]

    def layer(self, layer: int) -> Tensor:
        """Give one layer's centroids, float64 `(heads, runs, clusters, dim)`."""
        return self.layers[layer]

    def assign(self, layer: int, vectors: Tensor, top: int = 1, heads: slice = slice(None)) -> Tensor:
        """Find each vector's `top` nearest centroids, in float64, nearest first, ties to the lowest index.

        Parameters
        ----------
        vectors : projected, `(heads, n, dim)`.
        heads : which of the layer's heads these are; by default all.

        Returns
        -------
        int64 `(heads, runs, n, top)`.
        """
        if not 1 <= top <= self.layers[layer].shape[2]:
            raise InputError(f"predictors.kmeans.top: {top}; allowed: 1 to the {self.layers[layer].shape[2]} clusters")
        squared = squared_distances(vectors, self.layers[layer][heads].to(vectors.device))
        if top == 1:
            return squared.argmin(-1, keepdim=True)
        return squared.argsort(dim=-1, stable=True)[..., :top]

    def save(self, path: StrPath) -> None:
        """Write safetensors, one tensor `layer~N` per layer."""
        tensors = {f"layer~{layer}": centroids.contiguous().clone() for layer, centroids in enumerate(self.layers)}
        with atomic_path(path) as partial:
            save_file(tensors, partial)

    def save_original(self, path: StrPath) -> None:
        """Write the originals' torch file, a list over layers; float32 as theirs wherever that loses nothing."""
        narrow = [centroids.to(torch.float32) for centroids in self.layers]
        lossless = all(torch.equal(n.to(torch.float64), c) for n, c in zip(narrow, self.layers, strict=True))
        write_torch(narrow if lossless else [centroids.contiguous() for centroids in self.layers], path)

    @classmethod
    def load(cls, path: StrPath) -> Centroids:
        """Read our safetensors, the originals' torch list, or their pickle of KMeans objects, of which nothing is run.

        Raises
        ------
        InputError
            When it is none of these, or is damaged.
        """
        if is_safetensors(path):
            tensors: Any = read_safetensors(path)
            if set(tensors) != {f"layer~{layer}" for layer in range(len(tensors))}:
                raise InputError(f"{path}: tensors {sorted(tensors)}; must be layer~0, layer~1, …")
            content = [tensors[f"layer~{layer}"] for layer in range(len(tensors))]
        else:
            content = read_pickled_centroids(path) if is_pickle(path) else read_torch(path)
        if not isinstance(content, list | tuple) or not content:
            raise InputError(f"{path}: must be a list over layers of centroids (heads, runs, clusters, dim)")
        for layer, centroids in enumerate(content):
            _check_layer(centroids, content[0], f"{path}: layer {layer}")
        return cls(tuple(centroids.detach().to(torch.float64).contiguous().clone() for centroids in content))

    @classmethod
    def load_files(cls, files: Sequence[StrPath]) -> Centroids:
        """Read one file of all layers, or files of one layer each, in order."""
        if len(files) == 1:
            return cls.load(files[0])
        layers = [cls.load(path).layers for path in files]
        for path, held in zip(files, layers, strict=True):
            if len(held) != 1:
                raise InputError(f"{path}: holds {len(held)} layers; allowed in one of several files: one")
            _check_layer(held[0], layers[0][0], f"{path}")
        return cls(tuple(held[0] for held in layers))


def _check_layer(centroids: Any, first: Any, where: str) -> None:
    if not isinstance(centroids, Tensor) or not centroids.is_floating_point() or centroids.dim() != 4:
        kind = type(centroids).__name__
        found = f"{tuple(centroids.shape)} {centroids.dtype}" if isinstance(centroids, Tensor) else f"a {kind}"
        raise InputError(f"{where}: {found}; must be floating-point numbers of shape (heads, runs, clusters, dim)")
    if 0 in centroids.shape or centroids.shape != first.shape:
        raise InputError(f"{where}: shape {tuple(centroids.shape)}; must be alike in all layers and not empty")
    if not torch.isfinite(centroids.to(torch.float64)).all():
        raise InputError(f"{where}: holds NaN or infinite numbers")


def check_centroids(
    centroids: Centroids, projections: Projections, info: Any, clusters: int, runs: int, where: StrPath,
    block_size: int = 1,
) -> None:  # fmt: skip
    """Raise `InputError`, all differences at once, when centroids do not fit setting, projections, queries and keys.

    Parameters
    ----------
    info : the `QKInfo` of the queries and keys.
    """
    dim = block_size * (projections.setting.dim if projections.setting else info.head_dim)
    found = (len(centroids.layers), *centroids.layers[0].shape)
    names = ("layers", "heads", "predictors.kmeans.runs", KEY, "dim")
    wanted = (info.layers, info.heads, runs, clusters, dim)
    wrong = [f"{name} is {a}, must be {b}" for name, a, b in zip(names, found, wanted, strict=True) if a != b]
    if wrong:
        raise InputError(f"fit_clusters.source: {where}: {'; '.join(wrong)}")


def squared_distances(vectors: Tensor, centroids: Tensor) -> Tensor:
    """Give the squared distances in float64, summed dimension by dimension so that equal vectors give exactly 0.

    Parameters
    ----------
    vectors : `(heads, n, dim)`.
    centroids : `(heads, runs, clusters, dim)`.

    Returns
    -------
    `(heads, runs, n, clusters)`.
    """
    vectors, centroids = vectors.to(torch.float64), centroids.to(torch.float64)
    columns = range(vectors.shape[-1])
    total = (vectors[:, None, :, None, 0] - centroids[:, :, None, :, 0]).square()
    for d in columns[1:]:
        total += (vectors[:, None, :, None, d] - centroids[:, :, None, :, d]).square()
    return total


def layer_vectors(reader: Any, projections: Projections, layer: int, block_size: int = 1) -> Tensor:
    """Project all queries and keys of one layer, by blocks of `block_size` tokens.

    Returns
    -------
    `(heads, vectors, block_size · dim)`, example by example, queries before keys; where one vector stands for the query
    and the key of a position (`concat`), it comes once.
    """
    parts: list[Tensor] = []
    for example in reader.examples(layer):
        sides = projections.project(layer, example.queries, example.keys)
        together = projections.setting is not None and projections.setting.concat
        parts.extend(block_vectors(side, block_size) for side in (sides[:1] if together else sides))
    return torch.cat(parts, dim=1)


def fit_clusters(
    vectors: Tensor, clusters: int, runs: int, seed: int, max_iterations: int = 100, initialisations: int = 1,
    layer: int = 0, threads: int = 1,
) -> tuple[Tensor, list[dict[str, Any]]]:  # fmt: skip
    """Fit scikit-learn's k-means to each head's vectors.

    The first run starts from k-means++ (the best of `initialisations` starts), the others from random vectors, each
    with the random state `seed` + run. Centroids are rounded to float32, so that the originals' float32 files hold
    the very same ones.

    Parameters
    ----------
    vectors : `(heads, vectors, dim)`.
    layer : names the rows and the error.
    threads : heads fitted at the same time, each with a single thread: results do not depend on it.

    Returns
    -------
    Centroids, float64 `(heads, runs, clusters, dim)`, and rows of layer, head, run, inertia, iterations, vectors.
    """
    import threadpoolctl
    from sklearn.cluster import KMeans  # here, since most jobs use centroids without fitting any: a second each

    points = vectors.to(torch.float64).numpy()
    for head, each in enumerate(points):
        _require_distinct(each, clusters, f"layer {layer}, head {head}")

    def fit(head: int, run: int) -> KMeans:
        start = {"init": "k-means++", "n_init": initialisations} if run == 0 else {"init": "random", "n_init": 1}
        means = KMeans(clusters, max_iter=max_iterations, random_state=(seed + run) % 2**32, **start)
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
    vectors : `(heads, n, dim)`.
    centroids : one layer's, `(heads, runs, clusters, dim)`.

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
