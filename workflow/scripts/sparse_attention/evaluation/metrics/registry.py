"""Load the metrics and compute their values from counts."""

from __future__ import annotations

import functools

import numpy as np

from sparse_attention.evaluation.counts import Counts
from sparse_attention.evaluation.metrics.base import Metric
from sparse_attention.metrics.facts import metric_plugins


@functools.cache
def all_metrics() -> tuple[Metric, ...]:
    """Import every metric of predicted supports, in the order of columns."""
    return tuple(plugin.load()() for plugin in metric_plugins())


def metric_values(counts: Counts) -> np.ndarray:
    """Return the values of all metrics, float64 ``(points, metrics, extras, heads)``."""
    values = [np.broadcast_to(metric.values(counts), counts.edges.shape) for metric in all_metrics()]
    return np.stack(values, axis=1).astype(np.float64, copy=False)
