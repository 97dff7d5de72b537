"""Turns the configuration's grids into settings, path segments and jobs of a run; works without torch."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sparse_attention.files.segments import block_size_of, parse_segment, segment, without
from sparse_attention.predictors.registry import PredictorInfo, discover
from sparse_attention.pruning.scores import registry as scores

NO_PROJECTION = "kind~none"
ALL_POINTS = "all"
PROJECTION_KEYS = {"linear": ("kind", "dim", "shared"), "mlp": ("kind", "dim", "hidden", "shared"), "none": ("kind",)}
BY_DEFAULT = {"block_size": 1, "concat": False}
PRUNING: dict[str, Any] = {
    "variant": "corrected",
    "score": "mean",
    "ramp": "one_based",
    "temperature": 1e-3,
    "lambda": 0.0,
    "target": None,
}
UNUSED_BY_MODE = {"topk": ("temperature", "lambda", "target"), "random": ("score", "temperature", "lambda", "target")}


def as_list(value: Any) -> list[Any]:
    """Return `value` itself when it is a list, otherwise a list that contains it."""
    return value if isinstance(value, list) else [value]


def product(grid: dict[str, Any]) -> list[dict[str, Any]]:
    """Return all combinations of a grid of single values and lists; values of the first key change slowest."""
    return [dict(zip(grid, values, strict=True)) for values in itertools.product(*map(as_list, grid.values()))]


def longformer_of(config: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the shape of the Longformer that the classifier's encoder becomes; None where it keeps its own."""
    section = config["train_classifier"]
    return None if section["source"] else section["longformer"]


@dataclass(frozen=True)
class PredictorJob:
    """One evaluation job of a predictor: its path segments, its fitted settings and the grid of its points.

    Attributes
    ----------
    predictor : str
        The predictor's name in the registry.
    projection, point : str
        Path segments; `kind~none` without a projection, `all` without fitted settings.
    fixed : dict
        Values of the fitted settings, which `point` names.
    grid : dict of lists
        Values of the other settings; the job evaluates all their combinations.
    """

    predictor: str
    projection: str
    point: str
    fixed: dict[str, Any]
    grid: dict[str, list[Any]]

    @property
    def key(self) -> tuple[str, str, str]:
        """Predictor, projection and point."""
        return self.predictor, self.projection, self.point

    @property
    def points(self) -> int:
        """The number of points in the job, for one window and one choice of kept tokens."""
        return len(product(self.grid))


def projections(config: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the projection settings of a configuration by path segment, without repeats.

    `block_size` and `concat` are left out when they are 1 and False.
    """
    settings: dict[str, dict[str, Any]] = {}
    for entry in config["projections"]:
        grid = {"shared": True, **BY_DEFAULT, **entry}
        for setting in product({key: grid[key] for key in (*PROJECTION_KEYS[entry["kind"]], *BY_DEFAULT)}):
            named = {key: value for key, value in setting.items() if BY_DEFAULT.get(key) != value}
            settings[segment(named)] = named
    return settings


def clusterings(jobs: Iterable[Any]) -> dict[str, dict[str, Any]]:
    """Return the clusterings that jobs with `predictor`, `point` and `fixed` need, by path segment."""
    return {job.point: dict(job.fixed) for job in jobs if "clusters" in discover()[job.predictor].needs}


def predictor_jobs(config: dict[str, Any]) -> list[PredictorJob]:
    """Return the evaluation jobs of a configuration, one for each predictor, projection and fitted setting."""
    jobs = []
    for name, grid in config["predictors"].items():
        if grid is None:
            continue
        info = discover()[name]
        segments = projection_segments(config, info)
        swept = {key: as_list(value) for key, value in grid.items() if key not in info.fitted}
        for fixed in product({key: grid[key] for key in info.fitted}):
            point = segment(fixed) or ALL_POINTS
            jobs += [PredictorJob(name, projection, point, fixed, swept) for projection in segments]
    return jobs


def projection_segments(config: Mapping[str, Any], info: PredictorInfo) -> list[str]:
    """Return the segments of the projections that a predictor runs with.

    Without a projection there is one for single tokens, and one for each block size in use.
    """
    if "projection" in info.needs:
        return list(projections(config))
    sizes = sorted({block_size_of(name) for name in projections(config)} - {1}) if info.blocks else []
    return [NO_PROJECTION, *(segment({"kind": "none", "block_size": size}) for size in sizes)]


def prunings(config: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the settings of a configuration's `prunings` by path segment, without repeats.

    A segment leaves out values that equal their defaults and values that the mode does not use.
    """
    settings: dict[str, dict[str, Any]] = {}
    for entry in config["prunings"]:
        for setting in product({"mode": None, **PRUNING, **entry}):
            unused = UNUSED_BY_MODE.get(setting["mode"], ())
            setting |= {key: PRUNING[key] for key in unused}
            shown = {key: value for key, value in setting.items() if key not in PRUNING or value != PRUNING[key]}
            settings[segment(shown)] = setting
    return settings


def score_module(pruning: dict[str, Any] = PRUNING) -> str:
    """Return the module of the importance score of a pruning, or of the dense classifier, for the digest of its jobs.

    Random pruning needs no score, but its jobs also evaluate baselines, which use the default score.
    """
    return scores.discover()[pruning["score"]].module


def lambda_sweeps(segments: Iterable[str]) -> dict[str, dict[float, str]]:
    """Group prunings that differ only in lambda: by the segment without lambda, the segment of each lambda in order.

    Examples
    --------
    >>> lambda_sweeps(["mode~threshold_lambda~0.3_final~0.1", "mode~threshold_final~0.1", "mode~topk_final~0.2"])
    {'mode~threshold_final~0.1': {0.0: 'mode~threshold_final~0.1', 0.3: 'mode~threshold_lambda~0.3_final~0.1'}}
    """
    sweeps: dict[str, dict[float, str]] = {}
    for name in segments:
        weight = float(parse_segment(name).get("lambda", PRUNING["lambda"]))
        sweeps.setdefault(without(name, "lambda"), {})[weight] = name
    return {rest: dict(sorted(named.items())) for rest, named in sweeps.items() if len(named) > 1}


def has_soft_stage(pruning: dict[str, Any]) -> bool:
    """Return whether a pruning has a soft stage: if thresholds decide what is pruned, and not a share of tokens."""
    return pruning["mode"] in ("threshold", "manual")


def entmax_attentions(config: dict[str, Any]) -> list[str]:
    """Return the attentions with a support to predict: all except softmax."""
    return [attention for attention in config["attentions"] if attention != "softmax"]
