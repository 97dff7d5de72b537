"""Centroids of k-means clusters of projected queries and keys: reading, writing, checking and assigning vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from safetensors.torch import save_file
from torch import Tensor

from sparse_attention.block_sparse.cpu.nearest import nearest_centroids
from sparse_attention.block_sparse.dispatch import kernel_for
from sparse_attention.errors import InputError
from sparse_attention.files.atomic import atomic_path
from sparse_attention.files.tensors import StrPath, is_safetensors, read_safetensors, read_torch, write_torch
from sparse_attention.originals.sklearn_pickles import is_pickle
from sparse_attention.originals.sklearn_pickles import read_centroids as read_pickled_centroids
from sparse_attention.projections.model import Projections

if TYPE_CHECKING:
    from sparse_attention.qk.shape import AttentionShape

KEY = "predictors.kmeans.clusters"
TIE = 1e-12  # squared distances that differ by less than this, relative to squared norms, are equal up to rounding


@dataclass(frozen=True)
class Centroids:
    """The centroids of all layers.

    Attributes
    ----------
    layers : tuple of Tensor
        For each layer float64 ``(heads, runs, clusters, dim)``.
    """

    layers: tuple[Tensor, ...]

    def layer(self, layer: int) -> Tensor:
        """Return the centroids of one layer, float64 ``(heads, runs, clusters, dim)``."""
        return self.layers[layer]

    def assign(self, layer: int, vectors: Tensor, top: int = 1, heads: slice = slice(None)) -> Tensor:
        """Find the `top` nearest centroids of each vector; distances are computed in float64.

        Parameters
        ----------
        layer : int
            Number of the layer.
        vectors : Tensor
            Projected vectors, ``(heads, n, dim)``.
        top : int
            Number of centroids per vector.
        heads : slice
            The heads of the layer that `vectors` belong to; by default all.

        Returns
        -------
        Tensor
            int64 ``(heads, runs, n, top)``: indices of centroids, the nearest first; of equally near ones the lowest
            index first.

        Raises
        ------
        InputError
            When `top` is not between 1 and the number of clusters.
        """
        if not 1 <= top <= self.layers[layer].shape[2]:
            raise InputError(f"predictors.kmeans.top: {top}; allowed: 1 to the {self.layers[layer].shape[2]} clusters")
        centroids = self.layers[layer][heads].to(vectors.device)
        if vectors.dtype == torch.float32 and kernel_for(str(vectors.device), vectors.dtype) == "cpu":
            return nearest_centroids(vectors, centroids, top)
        squared = squared_distances(vectors, centroids)
        if top == 1:
            return squared.argmin(-1, keepdim=True)
        return squared.argsort(dim=-1, stable=True)[..., :top]

    def save(self, path: StrPath) -> None:
        """Write a safetensors file with one tensor `layer~N` per layer."""
        tensors = {f"layer~{layer}": centroids.contiguous().clone() for layer, centroids in enumerate(self.layers)}
        with atomic_path(path) as partial:
            save_file(tensors, partial)

    def save_original(self, path: StrPath) -> None:
        """Write the torch file of the original code, a list over layers; in float32 where that is lossless."""
        narrow = [centroids.to(torch.float32) for centroids in self.layers]
        lossless = all(torch.equal(n.to(torch.float64), c) for n, c in zip(narrow, self.layers, strict=True))
        write_torch(narrow if lossless else [centroids.contiguous() for centroids in self.layers], path)

    @classmethod
    def load(cls, path: StrPath) -> Centroids:
        """Read our safetensors file, or a torch list or a pickle of KMeans objects of the original code.

        No code in the file is run.

        Raises
        ------
        InputError
            When the file is none of these, or is damaged.
        """
        if is_safetensors(path):
            tensors = read_safetensors(path)
            if set(tensors) != {f"layer~{layer}" for layer in range(len(tensors))}:
                raise InputError(f"{path}: tensors {sorted(tensors)}; allowed: layer~0, layer~1, …")
            content = [tensors[f"layer~{layer}"] for layer in range(len(tensors))]
        else:
            content = read_pickled_centroids(path) if is_pickle(path) else read_torch(path)
        if not isinstance(content, list | tuple) or not content:
            kind = "an empty list" if isinstance(content, list | tuple) else f"a {type(content).__name__}"
            raise InputError(
                f"{path}: holds {kind}; allowed: a list over layers of centroids (heads, runs, clusters, dim)"
            )
        for layer, centroids in enumerate(content):
            _check_layer(centroids, getattr(content[0], "shape", None), f"{path}: layer {layer}")
        return cls(tuple(centroids.detach().to(torch.float64).contiguous().clone() for centroids in content))

    @classmethod
    def load_files(cls, files: Sequence[StrPath]) -> Centroids:
        """Read one file of all layers, or several files with one layer each, in order; raise `InputError` as `load`."""
        if len(files) == 1:
            return cls.load(files[0])
        layers = [cls.load(path).layers for path in files]
        for path, held in zip(files, layers, strict=True):
            if len(held) != 1:
                raise InputError(
                    f"{path}: holds {len(held)} layers; allowed where there are several files: one layer each"
                )
            _check_layer(held[0], layers[0][0].shape, f"{path}")
        return cls(tuple(held[0] for held in layers))


def _check_layer(centroids: object, shape: torch.Size | None, where: str) -> None:
    if not isinstance(centroids, Tensor) or not centroids.is_floating_point() or centroids.dim() != 4:
        kind = type(centroids).__name__
        found = f"{tuple(centroids.shape)} {centroids.dtype}" if isinstance(centroids, Tensor) else f"a {kind}"
        raise InputError(f"{where}: {found}; allowed: floating-point numbers of shape (heads, runs, clusters, dim)")
    if 0 in centroids.shape or centroids.shape != shape:
        raise InputError(
            f"{where}: shape {tuple(centroids.shape)}; allowed: one shape in all layers, without empty axes"
        )
    if not torch.isfinite(centroids.to(torch.float64)).all():
        raise InputError(f"{where}: holds NaN or infinite numbers; allowed: finite numbers")


def check_centroids(
    centroids: Centroids, projections: Projections, shape: AttentionShape, clusters: int, runs: int, where: StrPath,
    block_size: int = 1,
) -> None:  # fmt: skip
    """Raise `InputError`, with all differences, when centroids do not fit the setting, projections or vectors."""
    heads, *found = centroids.layers[0].shape
    dim = block_size * (projections.setting.dim if projections.setting else shape.head_dim)
    wanted = {"predictors.kmeans.runs": runs, KEY: clusters, "dim": dim}
    wrong = shape.differences({"layers": len(centroids.layers), "heads": heads})
    wrong += [f"{name} is {a}, must be {b}" for (name, b), a in zip(wanted.items(), found, strict=True) if a != b]
    if wrong:
        raise InputError(f"fit_clusters.source: {where}: {'; '.join(wrong)}")


def squared_distances(vectors: Tensor, centroids: Tensor) -> Tensor:
    """Compute squared distances from differences, dimension by dimension, so that equal vectors give exactly 0.

    Parameters
    ----------
    vectors : Tensor
        ``(heads, n, dim)``.
    centroids : Tensor
        ``(heads, runs, clusters, dim)``.

    Returns
    -------
    Tensor
        float64 ``(heads, runs, n, clusters)``.
    """
    vectors, centroids = vectors.to(torch.float64), centroids.to(torch.float64)
    columns = range(vectors.shape[-1])
    total = (vectors[:, None, :, None, 0] - centroids[:, :, None, :, 0]).square()
    for d in columns[1:]:
        total += (vectors[:, None, :, None, d] - centroids[:, :, None, :, d]).square()
    return total
