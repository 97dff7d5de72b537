"""Time fitting projections and k-means on all layers, against other methods of the same quality, in one run.

Projections: our hinge loss, which computes sums of distances as matrix products, against the same loss as a loop over
queries, and against the published one, which gathers pairs and pads them to the largest number of keys of a query. All
take the same steps from the same start with the same negatives, so they reach the same loss.
K-means: `fit_clusters`, which runs scikit-learn's k-means once for each head, against the published procedure, which
fits twice, and against Lloyd's algorithm for all heads at once in torch.

Usage: python benchmarks/fitting.py [--qk FOLDER --gold FOLDER] [--layers 2] [--steps 4] [--clusters 4 16] [--threads 1]

FOLDER holds `train` and `validation`, such as `results/qk/…/seed~1`; by default random data are used.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as in the workflow: waiting threads must not spin

import numpy as np
import sklearn
import torch
from sklearn.cluster import KMeans, kmeans_plusplus
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow" / "scripts"))
from sparse_attention.clusters.centroids import squared_distances
from sparse_attention.clusters.fitting import fit_clusters, layer_vectors
from sparse_attention.jobs.compute import set_threads
from sparse_attention.projections import fitting as fitting
from sparse_attention.projections.batches import Pairs
from sparse_attention.projections.fitting import FitOptions
from sparse_attention.projections.model import Projections
from sparse_attention.projections.weights import ProjectionSetting
from sparse_attention.qk.gold import GoldReader, GoldWriter, gold_of
from sparse_attention.qk.store import QKInfo, QKReader, QKWriter

SETTING = ProjectionSetting("linear", 4, True)
Fit = tuple[float, float, Projections]
TOLERANCE = 1e-4  # as in scikit-learn: squared shift of the centroids, relative to the mean variance


def write_random_store(folder: Path, layers: int, heads: int = 12, length: int = 256, head_dim: int = 32) -> None:
    """Write queries, keys and supports in which tokens attend mostly to their own kind, about 3 % of all pairs."""
    generator, kinds = torch.Generator().manual_seed(0), 24
    for split, examples in (("train", 64), ("validation", 8)):
        lengths = (length,) * examples
        info = QKInfo(layers, heads, head_dim, lengths, lengths, tuple(f"{split} {i}" for i in range(examples)))
        with QKWriter(folder / "qk" / split, info) as writer:
            for layer in range(layers):
                means = 1.1 * torch.randn(2, heads, kinds, head_dim, generator=torch.Generator().manual_seed(layer))
                means[1] = 0.3 * means[1] + means[0]
                for index in range(examples):
                    kind = torch.randint(kinds, (length,), generator=generator)
                    sides = means[:, :, kind] + 0.6 * torch.randn(2, heads, length, head_dim, generator=generator)
                    writer.write(layer, index, *sides)
        with GoldWriter(folder / "gold" / split, info) as writer:
            for layer in range(layers):
                for example in QKReader(folder / "qk" / split).examples(layer):
                    writer.write(layer, example, gold_of(example, 1.5))


def loss_by_loop(queries: Tensor, keys: Tensor, signs: Tensor, valid: Tensor, margin: float, distance: str) -> Tensor:
    """Compute `projections.losses.hinge_loss` for squared L2 in a loop over queries."""
    losses = []
    for example, head in np.ndindex(*queries.shape[:2]):
        total, counted = queries.new_zeros(()), 0
        for i in valid[example].any(-1).nonzero().flatten().tolist():
            difference = (queries[example, head, i] - keys[example, head]).square().sum(-1)
            total = total + torch.relu(margin + (signs[example, head, i] * difference).sum())
            counted += 1
        losses.append(total / counted)
    return torch.stack(losses).view(queries.shape[:2])


def loss_by_gathering(
    queries: Tensor, keys: Tensor, signs: Tensor, valid: Tensor, margin: float, distance: str
) -> Tensor:
    """Compute `projections.losses.hinge_loss` for squared L2 from the differences to all gold and sampled keys."""
    margins = margin
    for sign in (1, -1):
        chosen = signs == sign
        most = int(chosen.sum(-1).max())
        places = chosen.to(torch.uint8).argsort(-1, descending=True)[..., :most]
        present = chosen.gather(-1, places)
        gathered = keys.unsqueeze(2).expand(-1, -1, places.shape[2], -1, -1)
        gathered = gathered.gather(3, places.unsqueeze(-1).expand(-1, -1, -1, -1, keys.shape[-1]))
        squares = (queries.unsqueeze(3) - gathered).square().sum(-1)
        margins = margins + sign * (squares * present).sum(-1)
    counted = valid.any(-1).unsqueeze(1)
    return (torch.relu(margins) * counted).sum(-1) / counted.sum(-1)


def fit_with(loss: Callable[..., Tensor], layers: int, splits: list[Pairs], options: FitOptions) -> Fit:
    """Fit all layers with `loss`; return the seconds without each layer's first step, the last loss and the weights."""
    seconds, losses, weights = 0.0, [], []
    with patch.object(fitting, "hinge_loss", loss):
        for layer in range(layers):
            ends: list[float] = []
            tick = lambda ends=ends: ends.append(time.perf_counter())  # noqa: E731
            pair, rows = fitting.fit_layer(layer, *splits, SETTING, options, 0, tick)
            seconds += ends[-1] - ends[0]
            losses.append(rows[-1]["loss"])
            weights.append(pair)
    return seconds, statistics.fmean(losses), Projections.of(weights)


def compare_projections(layers: int, splits: list[Pairs], steps: int) -> Projections:
    """Print the seconds of each loss; return the projections that our loss fitted."""
    options = FitOptions(epochs=1000, max_steps=steps + 1, batch_size=4, eval_steps=10**9, eval_examples=2)
    print(f"projections, linear to {SETTING.dim} dims: {steps} steps of {options.batch_size} examples in every layer")
    ours, loss, projections = fit_with(fitting.hinge_loss, layers, splits, options)
    print(f"  ours: {ours:.2f} s, validation loss {loss:.4f}")
    for name, other in (("gathered differences", loss_by_gathering), ("loop over queries", loss_by_loop)):
        theirs, final, _ = fit_with(other, layers, splits, options)
        print(f"  {name}: {theirs:.2f} s, validation loss {final:.4f}: ours is {theirs / ours:.1f} times faster")
    return projections


def inertia(vectors: Tensor, centroids: Tensor) -> float:
    """Return the sum of squared distances of vectors ``(heads, n, dim)`` to their nearest centroid.

    `centroids` have shape ``(heads, clusters, dim)``.
    """
    return float(squared_distances(vectors, centroids.unsqueeze(1)).amin(-1).sum())


def ours(vectors: Tensor, clusters: int, threads: int, seed: int) -> Tensor:
    """Fit with `fit_clusters`."""
    return fit_clusters(vectors, clusters, 1, seed, threads=threads)[0][:, 0]


def as_published(vectors: Tensor, clusters: int, threads: int, seed: int) -> Tensor:
    """Fit scikit-learn's k-means twice to each head, as the published code does."""
    points = vectors.double().numpy()
    means = (KMeans(clusters, random_state=seed).fit(head).fit(head) for head in points)
    return torch.from_numpy(np.stack([each.cluster_centers_ for each in means]))


def batched(vectors: Tensor, clusters: int, threads: int, seed: int, most: int = 100) -> Tensor:
    """Run Lloyd's algorithm for all heads at once, from k-means++ starts, until every head has converged."""
    points = vectors.double()
    starts = [kmeans_plusplus(head, clusters, random_state=seed)[0] for head in points.numpy()]
    centroids = torch.from_numpy(np.stack(starts))
    least = TOLERANCE * points.var(1, unbiased=False).mean(-1)
    moving = torch.arange(len(points))
    for _ in range(most):
        x, old = points[moving], centroids[moving]
        squared = torch.baddbmm(old.square().sum(-1).unsqueeze(1), x, old.mT, alpha=-2)
        members = torch.zeros_like(squared).scatter_(-1, squared.argmin(-1, keepdim=True), 1.0)
        counts = members.sum(1).unsqueeze(-1)
        new = torch.where(counts > 0, members.mT @ x / counts.clamp_min(1), old)
        centroids[moving] = new
        moving = moving[(new - old).square().sum((-1, -2)) > least[moving]]
        if not len(moving):
            break
    return centroids


def compare_clusters(vectors: list[Tensor], clusters: int, threads: int, repeats: int) -> None:
    """Print the median seconds and the inertia of each method on all layers."""
    heads, count, dim = vectors[0].shape
    print(f"k-means, {clusters} clusters of {heads} heads × {count} vectors × {dim} dims in every layer")
    methods = {"ours": ours, "fitted twice, as published": as_published, "all heads at once in torch": batched}
    seconds: dict[str, list[float]] = {name: [] for name in methods}
    sums: dict[str, list[float]] = {name: [] for name in methods}
    for seed in range(repeats):
        for name, fit in methods.items():
            start = time.perf_counter()
            found = [fit(layer, clusters, threads, seed) for layer in vectors]
            seconds[name].append(time.perf_counter() - start)
            sums[name].append(sum(map(inertia, vectors, found)))
    base, quality = statistics.median(seconds["ours"]), statistics.median(sums["ours"])
    for name in methods:
        median, relative = statistics.median(seconds[name]), statistics.median(sums[name]) / quality
        ratio = "" if name == "ours" else f": ours is {median / base:.1f} times faster"
        print(f"  {name}: {median:.2f} s, inertia {relative:.4f} of ours{ratio}")


def main() -> None:
    """Print the conditions, then a line for each method."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("layers", 2), ("steps", 4), ("threads", 1), ("repeats", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--clusters", type=int, nargs="+", default=[4, 16])
    parser.add_argument("--qk", type=Path)
    parser.add_argument("--gold", type=Path)
    options = parser.parse_args()
    if (options.qk is None) != (options.gold is None):
        parser.error("--qk and --gold must be given together")
    set_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        if options.qk is None:
            write_random_store(Path(folder), options.layers)
            options.qk, options.gold = Path(folder) / "qk", Path(folder) / "gold"
        readers = [
            (QKReader(options.qk / split), GoldReader(options.gold / split)) for split in ("train", "validation")
        ]
        layers, gold = min(options.layers, readers[0][0].info.layers), readers[0][1].sparsity.mean()
        examples, threads = readers[0][0].info.examples, options.threads
        print(
            f"{layers} layers, {examples} examples, gold sparsity {gold:.3f}, on a CPU, --threads {threads}, "
            f"torch {torch.__version__}, scikit-learn {sklearn.__version__}"
        )
        projections = compare_projections(layers, [Pairs(*pair) for pair in readers], options.steps)
        vectors = [layer_vectors(readers[0][0], projections, layer) for layer in range(layers)]
        for clusters in options.clusters:
            compare_clusters(vectors, clusters, threads, options.repeats)


if __name__ == "__main__":
    main()
