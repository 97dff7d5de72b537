"""Turns the points at which language models run under predicted attention into jobs; works without torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from sparse_attention.files.segments import segment
from sparse_attention.predictors.registry import discover
from sparse_attention.settings.grids import ALL_POINTS, product, projection_segments

EVALUATED, FINETUNED, EXPORTED = "evaluate_sparse_mlm", "finetune_sparse_mlm", "export_sparse_model"
SECTIONS = (EVALUATED, FINETUNED, EXPORTED)
EXTRAS = {"window": 0, "keep": "none", "dense_empty_rows": False}
"""Settings of a point besides those of its predictor, with their defaults; `sparse_models.points` explains them."""


@dataclass(frozen=True)
class SparseJob:
    """The points of a predictor with one projection and the same fitted settings.

    Attributes
    ----------
    predictor, projection, point : str
        As in `grids.PredictorJob`.
    fixed : dict
        Values of the fitted settings, which `point` names.
    points : tuple of dict
        For each point the other settings of the predictor, and all of `EXTRAS`.
    """

    predictor: str
    projection: str
    point: str
    fixed: Mapping[str, Any]
    points: tuple[Mapping[str, Any], ...]

    @property
    def key(self) -> tuple[str, str, str]:
        """Predictor, projection and point."""
        return self.predictor, self.projection, self.point

    @property
    def singles(self) -> dict[str, Mapping[str, Any]]:
        """The points by path segment, which leaves out fitted settings and extras at their defaults."""
        return {
            segment({name: value for name, value in one.items() if EXTRAS.get(name, ...) != value}) or ALL_POINTS: one
            for one in self.points
        }


def sparse_jobs(config: Mapping[str, Any], section: str) -> list[SparseJob]:
    """Return the jobs of `points` in a section, without repeated points.

    Parameters
    ----------
    config : mapping
        The whole configuration.
    section : str
        One of `SECTIONS`; where it is null there are no jobs.
    """
    jobs: dict[tuple[str, str, str], SparseJob] = {}
    for name, grids in ((config[section] or {}).get("points") or {}).items():
        info = discover()[name]
        for setting in (one for grid in grids or () for one in product({**EXTRAS, **grid})):
            fixed = {key: setting[key] for key in info.fitted}
            ordered = [key for key in info.parameters if key not in info.fitted]
            point = {key: setting[key] for key in (*ordered, *EXTRAS)}
            for projection in projection_segments(config, info):
                job = SparseJob(name, projection, segment(fixed) or ALL_POINTS, fixed, ())
                known = jobs.setdefault(job.key, job)
                if point not in known.points:
                    jobs[job.key] = replace(known, points=(*known.points, point))
    return list(jobs.values())


def validation_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `sparse_models.validation.Validation` needs besides the blocks."""
    section = config[EVALUATED]
    return {
        "count": section["blocks"],
        "batch_size": section["batch_size"],
        "mask_probability": config["train_mlm"]["mask_probability"],
    }


def options_of_training(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of the training under predicted attention: those of `train_mlm`, with the section's own."""
    # alpha is that of the trained model from the first step on, and predictors are Python that is not compiled
    fixed = {"source": None, "anneal": {"start": None, "steps": 0}, "compile": False}
    own = {name: value for name, value in config[FINETUNED].items() if name not in ("points", "parameters")}
    return {**config["train_mlm"], **fixed, **own}
