"""Make the predictor of a job, and open the splits that it is evaluated on and learns from."""

from __future__ import annotations

from typing import Any

from sparse_attention.clusters.centroids import Centroids
from sparse_attention.evaluation.examples import Split
from sparse_attention.predictors.base import Context, Predictor
from sparse_attention.predictors.registry import create
from sparse_attention.projections.model import load_projections


def load(given: Any, params: Any) -> tuple[Predictor, Split, Split | None]:
    """Return the predictor of a job, its validation split, and the train split if the predictor learns from it.

    Parameters
    ----------
    given : namespace
        Paths `qk`, `gold`, `qk_train`, `gold_train`, `projections` and `centroids`; one that is not needed is empty or
        missing.
    params : namespace
        The name `predictor` and its `fixed` options, `seed`, and `block_size`, the number of tokens of one position.

    Raises
    ------
    InputError
        When a file is damaged, or a gold support was computed from other queries and keys.
    """

    def optional(name: str) -> Any:
        return getattr(given, name, None) or None

    centroids = optional("centroids")
    context = Context(params.seed, dict(params.fixed), Centroids.load(centroids) if centroids else None)
    predictor = create(params.predictor, context)
    common = (load_projections(optional("projections")), params.block_size)
    validation = Split(given.qk, given.gold, *common)
    training = Split(given.qk_train, given.gold_train, *common) if predictor.fits else None
    return predictor, validation, training
