"""Save a language model together with its predictors, and open such a folder as a transformers model.

The folder is a Hugging Face model folder with a subfolder `predictor`, which holds everything that predicts the
supports: a sidecar, and tensors in safetensors files. No code in a folder is run.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor
from transformers import PreTrainedModel

from sparse_attention.clusters.centroids import Centroids
from sparse_attention.errors import InputError
from sparse_attention.files.atomic import atomic_path
from sparse_attention.files.sidecars import Sidecar
from sparse_attention.files.tensors import read_safetensors
from sparse_attention.models.hub import offline
from sparse_attention.models.limits import Limits, limits_of_model
from sparse_attention.models.masked_lm import load_masked_lm
from sparse_attention.predictors.base import Context, Predictor
from sparse_attention.predictors.registry import PredictorInfo, create, discover
from sparse_attention.projections.model import Projections
from sparse_attention.settings.sparse_points import EXTRAS
from sparse_attention.sparse_models.checks import check_attention, check_description, check_sizes, limit_length, try_out
from sparse_attention.sparse_models.points import Point
from sparse_attention.sparse_models.prediction import PredictedAttention

SUBFOLDER = "predictor"
PROJECTIONS, CENTROIDS, LEARNED = "projections.safetensors", "centroids.safetensors", "learned.safetensors"
DESCRIPTION = Sidecar("predictor.json", "sparse_attention.predictor", 1, "a sparse model")


class SparseModel(PreTrainedModel):
    """What a model gains whose attention is predicted: it saves its predictors, and loads them again.

    `load_sparse_model` makes each model an instance of its own class and of this one.

    Attributes
    ----------
    predicted : PredictedAttention
        The predictors of its layers.
    """

    predicted: PredictedAttention

    def save_pretrained(self, save_directory: Any, *arguments: Any, **options: Any) -> None:
        """Save the model as transformers does, and its predictors beside it."""
        with offline():
            super().save_pretrained(save_directory, *arguments, **options)
        save_predictors(self.predicted, self.config.sparse_attention, Path(save_directory))

    @classmethod
    def from_pretrained(  # type: ignore[override]
        cls, pretrained_model_name_or_path: Any, *arguments: Any, **options: Any
    ) -> PreTrainedModel:
        """Open a folder as `load_sparse_model` does; other options of transformers are refused."""
        if arguments or options:
            given = ", ".join([*map(repr, arguments), *options])
            raise InputError(
                f"from_pretrained: {given} is not allowed; allowed for a sparse model: a local folder only"
            )
        return load_sparse_model(pretrained_model_name_or_path)


def make_sparse(model: PreTrainedModel, predicted: PredictedAttention) -> PreTrainedModel:
    """Let `model` attend to what is predicted, and save its predictors with it; it is changed and returned.

    From then on, a call with more tokens than the model has positions raises `InputError`.
    """
    predicted.attach(model)
    model.__class__ = _sparse_class(type(model))  # type: ignore[arg-type]
    model.predicted = predicted  # type: ignore[assignment]
    limit_length(model)
    return model


@functools.cache
def _sparse_class(kind: type[PreTrainedModel]) -> type[PreTrainedModel]:
    if issubclass(kind, SparseModel):
        return kind
    # transformers writes the name of the class into config.json, so it stays
    return type(kind.__name__, (SparseModel, kind), {"__module__": kind.__module__, "__doc__": kind.__doc__})


def save_predictors(predicted: PredictedAttention, attention: Mapping[str, Any], folder: Path) -> None:
    """Write the predictors of a model into its folder.

    Parameters
    ----------
    predicted : PredictedAttention
        The predictors, fitted.
    attention : mapping
        `kind` and `alpha` of the model's attention.
    folder : Path
        The model folder.
    """
    first, place = predicted.predictors[0], folder / SUBFOLDER
    info, context = discover()[first.name], first.context
    place.mkdir(parents=True, exist_ok=True)
    projected = "projection" in info.needs and predicted.projections.setting is not None
    if projected:
        predicted.projections.save(place / PROJECTIONS)
    if context.centroids is not None and "clusters" in info.needs:
        context.centroids.save(place / CENTROIDS)
    if info.fits:
        tensors = {
            f"layer~{layer}.{name}": value.clone()
            for layer, predictor in enumerate(predicted.predictors)
            for name, value in predictor.state().items()
        }
        with atomic_path(place / LEARNED) as partial:
            save_file(tensors, partial)
    kind, alpha = attention["kind"], attention["alpha"]
    content = {
        "predictor": first.name,
        "setting": {**context.fixed, **predicted.point.setting},
        **predicted.point.extras,
        "block_size": predicted.block_size,
        "projected": projected,
        "seed": context.seed,
        "attention": "softmax" if kind == "softmax" else f"{kind}~{alpha:g}",
    }
    DESCRIPTION.write(place, content)


def load_sparse_model(folder: Path | str) -> PreTrainedModel:
    """Open an exported folder as a transformers model whose attention is predicted.

    `model.set_attn_implementation("sparse_attention")` gives attention to all keys, and
    `model.set_attn_implementation("predicted_sparse_attention")` the predicted one again. With
    `"predicted_block_sparse_attention"` every layer attends to all keys of the blocks that hold a predicted pair, by a
    kernel that computes these blocks only: more than the support, but faster on long inputs (docs/benchmarks.md).

    Parameters
    ----------
    folder : Path or str
        A folder that `export_sparse_model` or `finetune_sparse_mlm` made, or `save_pretrained` of such a model.

    Returns
    -------
    PreTrainedModel
        A masked language model, in float32 and evaluation mode.

    Raises
    ------
    InputError
        When a file is missing or damaged, or the predictors do not fit the model. The opened model raises it when it is
        called with more tokens than it has positions.
    """
    place = Path(folder) / SUBFOLDER
    content = DESCRIPTION.read(place)
    info = check_description(content, place / DESCRIPTION.name)
    model = load_masked_lm(folder, check_attention(folder, content["attention"], place / DESCRIPTION.name))
    layers = model.config.num_hidden_layers
    fixed = {name: content["setting"][name] for name in info.fitted}
    projections, centroids = _load_fitted(place, limits_of_model(model), info, content)
    predictors = [create(info.name, Context(content["seed"], fixed, centroids)) for _ in range(layers)]
    if info.fits:
        _load_states(predictors, place / LEARNED)
    swept = {name: value for name, value in content["setting"].items() if name not in info.fitted}
    point = Point(swept, **{name: content[name] for name in EXTRAS})
    make_sparse(model, PredictedAttention(predictors, point, projections, content["block_size"]))
    try_out(model, place)
    return model


def _load_fitted(
    place: Path, limits: Limits, info: PredictorInfo, content: Mapping[str, Any]
) -> tuple[Projections, Centroids | None]:
    """Load the projections and centroids that a predictor needs, and check that they fit the model."""
    projections, centroids = Projections.identity(), None
    wanted = {"layers": limits.layers, "heads": limits.heads, "head_dim": limits.head_dim}
    if content["projected"]:
        projections = Projections.load(place / PROJECTIONS)
        found = {"layers": len(projections.layers), "heads": projections.heads, "head_dim": projections.head_dim}
        check_sizes(place / PROJECTIONS, found, wanted)
    if "clusters" in info.needs:
        centroids = Centroids.load(place / CENTROIDS)
        heads, runs, clusters, _ = centroids.layers[0].shape
        found = {"layers": len(centroids.layers), "heads": heads, "runs": runs, "clusters": clusters}
        check_sizes(place / CENTROIDS, found, {**wanted, **content["setting"]})
    return projections, centroids


def _load_states(predictors: Sequence[Predictor], path: Path) -> None:
    """Give each layer's predictor what it had learned."""
    tensors = read_safetensors(path)
    for layer, predictor in enumerate(predictors):
        start = f"layer~{layer}."
        state: dict[str, Tensor] = {
            name.removeprefix(start): value for name, value in tensors.items() if name.startswith(start)
        }
        if not state:
            raise InputError(f"{path}: holds nothing for layer {layer}; allowed: what every layer learned")
        damaged = next((name for name, value in state.items() if value.isnan().any()), None)
        if damaged is not None:
            raise InputError(f"{path}: {start}{damaged} holds NaN; allowed: numbers")
        predictor.load_state(layer, state)
