"""Time one sweep over a predictor grid against the evaluation of its points one by one, in one run on this machine.

Usage: python benchmarks/grid.py [--grid config/grids/mlm.yaml] [--heads 12] [--length 512] [--head-dim 64] [--dim 4]
                                 [--examples 12] [--lengths 256 512 1024 2048 4096] [--processes 2] [--device cpu]

Queries and keys are random, with few keys per query in their gold support; projections are random, clusters are fitted.
Times are per example of one layer. As in the workflow, predictors are evaluated in processes of one thread each; the
point-by-point evaluation has as many threads as there are processes. It works like the published code: for each point
it computes the attention with the `entmax` package, predicts, adds the window, and counts pairs in boolean masks. Both
evaluations must agree.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import statistics
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from entmax import entmax15

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow" / "scripts"))
from sparse_attention.attention.masks import valid_pairs, window_mask
from sparse_attention.clusters.centroids import Centroids
from sparse_attention.clusters.fitting import fit_clusters
from sparse_attention.errors import InputError
from sparse_attention.evaluation.sweep import METRICS, Sweep, on_device
from sparse_attention.files.yaml import read_mapping
from sparse_attention.predictors.base import Context, Predictor
from sparse_attention.predictors.features import Features
from sparse_attention.predictors.registry import create, discover
from sparse_attention.qk.gold import Gold, gold_of
from sparse_attention.qk.store import Example
from sparse_attention.settings.grids import as_list, product

ROOT = Path(__file__).resolve().parents[1]
COMPARED = ("sparsity", "recall", "mass_recall", "exactness")


class Job(NamedTuple):
    """A fitted predictor and its points."""

    predictor: Predictor
    points: list[dict[str, Any]]


class Layer:
    """Random examples of one layer; predictors are fitted to the first example."""

    def __init__(self, options: argparse.Namespace, length: int, examples: int) -> None:
        generator = torch.Generator().manual_seed(length)
        shape, valid = (options.heads, length, options.head_dim), valid_pairs(length, length)
        weights = torch.randn(options.heads, options.head_dim, options.dim, generator=generator) / options.head_dim
        self.projecting = float(options.head_dim * options.dim)
        self.examples, self.all_features = [], []
        for index in range(examples):
            # a common part makes queries and keys similar, as in a trained model
            common = torch.randn(shape, generator=generator)
            queries, keys = (2 * (common + torch.randn(shape, generator=generator)) for _ in range(2))
            self.examples.append(Example(index, queries, keys, valid))
            self.all_features.append(Features(0, index, queries @ weights, keys @ weights, queries, keys, valid))
        self.example, self.features = self.examples[0], self.all_features[0]

    def jobs(self, grid: dict[str, Any]) -> list[Job]:
        """Create and fit the predictors of the grid; fitting is not timed, because the workflow does it beforehand."""
        jobs, gold = [], gold_of(self.example, 1.5)
        for name, settings in grid.items():
            info = discover()[name]
            swept = {key: value for key, value in settings.items() if key not in info.fitted}
            for fixed in product({key: settings[key] for key in info.fitted}):
                predictor = create(
                    name, Context(0, fixed, self._centroids(fixed) if "clusters" in info.needs else None)
                )
                if info.fits:
                    predictor.fit(0, [(self.features, gold)])
                jobs.append(Job(predictor, product(swept)))
        return jobs

    def _centroids(self, fixed: dict[str, Any]) -> Centroids:
        vectors = torch.cat([self.features.queries, self.features.keys], dim=1)
        return Centroids((fit_clusters(vectors, int(fixed["clusters"]), int(fixed["runs"]), 0)[0],))


def point_by_point(
    layer: Layer, job: Job, windows: list[int], gold: torch.Tensor | None
) -> tuple[float, np.ndarray, np.ndarray]:
    """Evaluate a job's points one by one; return seconds and metrics `COMPARED`, ``(points, windows, 4, heads)``."""
    features, results = layer.features, []
    start = time.perf_counter()
    for point in job.points:
        for window in windows:
            attention = gold
            if attention is None:
                scores = features.raw_queries @ features.raw_keys.transpose(1, 2) / features.raw_keys.shape[-1] ** 0.5
                attention = entmax15(scores.masked_fill(~features.valid, -torch.inf), dim=-1)
            support = attention > 0
            predicted = job.predictor.predict(job.predictor.prepare(features), **point)
            predicted = (predicted | window_mask(*features.shape[1:], window)) & features.valid
            predicted = predicted.expand(features.shape)
            hits = predicted & support
            results.append(torch.stack([
                1 - predicted.sum((1, 2)) / features.valid.sum(),
                hits.sum((1, 2)) / support.sum((1, 2)),
                (attention * predicted).sum((1, 2)) / attention.sum((1, 2)),
                (support & ~predicted).any(-1).logical_not().float().mean(-1),
            ]))  # fmt: skip
    seconds = time.perf_counter() - start
    return seconds, torch.stack(results).reshape(len(job.points), len(windows), 4, -1).numpy()


class Work(NamedTuple):
    """The data that the processes of a sweep share."""

    layer: Layer
    jobs: list[Job]
    windows: list[int]
    device: str
    golds: list[Gold]

    def measure(self, place: int) -> np.ndarray:
        """Evaluate job number `place` on all examples; return the metrics of the first example."""
        job, layer = self.jobs[place], self.layer
        projecting = layer.projecting if "projection" in job.predictor.needs else 0.0
        swept = Sweep(job.predictor, job.points, self.windows, projecting=projecting, device=self.device)
        first, *_ = [
            swept.measure(on_device(features, self.device), gold)[0][0]
            for features, gold in zip(layer.all_features, self.golds, strict=True)
        ]
        return first

    def gold(self, place: int) -> Gold:
        """Compute the gold support of example number `place`."""
        return gold_of(self.layer.examples[place], 1.5)

    def map(self, name: str, count: int, processes: int) -> list[Any]:
        """Call the method `name` for each of `range(count)`: in forked processes on a CPU, one by one on a GPU."""
        if self.device != "cpu":
            return [getattr(self, name)(place) for place in range(count)]
        forked = multiprocessing.get_context("fork")
        with ProcessPoolExecutor(processes, forked, inherit, (self,)) as pool:
            return list(pool.map(call, repeat(name), range(count)))


def inherit(work: Work) -> None:
    """Store the shared data in a new process."""
    global inherited
    inherited = work


def call(name: str, place: int) -> Any:
    """Call a method of the shared data in a process of the pool."""
    return getattr(inherited, name)(place)


def sweep(layer: Layer, jobs: list[Job], windows: list[int], options: argparse.Namespace) -> tuple[float, list[Any]]:
    """Compute gold supports and evaluate all jobs; return seconds per example and the metrics of the first example."""
    torch.set_num_threads(1)
    start = time.perf_counter()
    work = Work(layer, jobs, windows, options.device, [])
    golds = work.map("gold", len(layer.examples), options.processes)
    results = work._replace(golds=golds).map("measure", len(jobs), options.processes)
    seconds = (time.perf_counter() - start) / len(layer.examples)
    torch.set_num_threads(options.processes)
    return seconds, results


def compare(layer: Layer, jobs: list[Job], windows: list[int], options: argparse.Namespace) -> None:
    """Print the times of both evaluations by predictor and in all; sweeps are timed before, between and after them."""
    sweep(layer, jobs, windows, options)
    ours, metrics = sweep(layer, jobs, windows, options)
    sweeps = [ours]
    gold = torch.zeros(layer.features.shape)
    exact = gold_of(layer.example, 1.5)
    gold[exact.support] = exact.probabilities
    rows = [METRICS.index(name) for name in COMPARED]
    total = {"recomputed": 0.0, "cached": 0.0}
    points, names = 0, {}
    for place, (job, measured) in enumerate(zip(jobs, metrics, strict=True)):
        if place in (len(jobs) // 3, 2 * len(jobs) // 3):
            sweeps.append(sweep(layer, jobs, windows, options)[0])
        used = [0] if job.predictor.name == "window" else windows
        seconds, expected = point_by_point(layer, job, used, gold)
        found = measured[:, rows][:, :, [windows.index(w) for w in used]].transpose(0, 2, 1, 3)
        if np.abs(found - expected).max() > 1e-5:
            raise SystemExit(f"{job.predictor.name}: the evaluations differ by {np.abs(found - expected).max():.1e}")
        again = point_by_point(layer, job, used, None)[0]
        total["cached"] += seconds
        total["recomputed"] += again
        count = len(job.points) * len(used)
        points += count
        before = names.get(job.predictor.name, (0, 0.0, 0.0))
        names[job.predictor.name] = (before[0] + count, before[1] + again, before[2] + seconds)
    print(f"{'predictor':16s} {'points':>6s} {'s one by one':>13s} {'with gold cached':>17s}")
    for name, (count, again, cached) in names.items():
        print(f"{name:16s} {count:6d} {again:13.1f} {cached:17.1f}")
    print(f"all points: {points}; one by one {total['recomputed']:.1f} s, with the gold cached {total['cached']:.1f} s")
    sweeps.append(sweep(layer, jobs, windows, options)[0])
    ours, each = statistics.median(sweeps), ", ".join(f"{seconds:.2f}" for seconds in sweeps)
    print(f"one sweep, gold support included: {ours:.2f} s (median of {each}), {points / ours:.0f} points a second")
    for name, seconds in total.items():
        print(f"times faster than one by one, gold support {name}: {seconds / ours:.0f}")


def main() -> None:
    """Print the comparison at one length, and time and peak memory of the sweep at growing lengths."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--grid", type=Path, default=ROOT / "config/grids/mlm.yaml")
    parser.add_argument("--lengths", type=int, nargs="*", default=[256, 512, 1024, 2048, 4096])
    parser.add_argument("--device", default="cpu")
    sizes = {"heads": 12, "length": 512, "head-dim": 64, "dim": 4, "examples": 12, "processes": 2}
    for name, default in sizes.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    try:
        config = read_mapping(options.grid)
    except InputError as error:
        parser.error(str(error))
    grid = {name: settings for name, settings in config["predictors"].items() if settings}
    windows = as_list(config["evaluate"]["windows"])
    print(
        f"{options.grid.name}, {options.heads} heads, head_dim {options.head_dim}, dim {options.dim}, "
        f"{options.processes} processes, {options.device}, torch {torch.__version__}"
    )
    for length in sorted(options.lengths):
        layer = Layer(options, length, 1)
        jobs = layer.jobs(grid)
        seconds, _ = sweep(layer, jobs, windows, options)
        memory = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        peak = max(memory) / 2**20
        print(f"{length:5d} tokens: one sweep {seconds:7.2f} s, peak memory of a process {peak:.2f} GiB", flush=True)
    layer = Layer(options, options.length, options.examples)
    compare(layer, layer.jobs(grid), windows, options)


if __name__ == "__main__":
    main()
