"""Make the predictors of all layers of a model from the files of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from transformers import PreTrainedModel

from sparse_attention.clusters.centroids import Centroids
from sparse_attention.evaluation.examples import Split, fit_layer
from sparse_attention.evaluation.sweep import check_lists
from sparse_attention.predictors.base import Context
from sparse_attention.predictors.registry import create
from sparse_attention.projections.model import load_projections
from sparse_attention.sparse_models.points import Point
from sparse_attention.sparse_models.prediction import PredictedAttention


def predicted_attentions(
    model: PreTrainedModel, points: Sequence[Mapping[str, Any]], params: Any, inputs: Any
) -> list[PredictedAttention]:
    """Make a predictor for every layer of a model, fit it where it `fits`, and return it at each point.

    Parameters
    ----------
    model : PreTrainedModel
        The model whose attention is predicted.
    points : sequence of mapping
        The settings of each point without fitted ones, see `Point.of`.
    params : object
        The params of a job: `predictor`, `fixed`, `seed` and `block_size`.
    inputs : object
        The inputs of a job: `projections`, `centroids`, `qk_train` and `gold_train`; those that the predictor does not
        need are empty.

    Raises
    ------
    InputError
        When a file is damaged or missing, or a list of values per head has another length.
    """
    projections = load_projections(inputs.projections)
    centroids = Centroids.load(inputs.centroids) if inputs.centroids else None
    context = Context(params.seed, dict(params.fixed), centroids)
    predictors = [create(params.predictor, context) for _ in range(model.config.num_hidden_layers)]
    placed = [Point.of(values) for values in points]
    for point in placed:
        grid = {name: [value] for name, value in point.setting.items()}
        check_lists(predictors[0], grid, model.config.num_attention_heads)
    training = None
    if predictors[0].fits:
        training = Split(inputs.qk_train, inputs.gold_train, projections, params.block_size)
    for layer, predictor in enumerate(predictors):
        fit_layer(predictor, layer, training)
    return [PredictedAttention(predictors, point, projections, params.block_size) for point in placed]
