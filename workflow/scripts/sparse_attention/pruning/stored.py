"""Save and load pruned classifiers: a Hugging Face folder with two further files of settings and thresholds."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from safetensors.torch import save_file
from transformers import PreTrainedModel

from sparse_attention.errors import InputError
from sparse_attention.files.atomic import atomic_path
from sparse_attention.files.plain import read_json, write_json
from sparse_attention.files.tensors import read_safetensors
from sparse_attention.models.hub import offline
from sparse_attention.models.loading import load_sequence_classifier
from sparse_attention.pruning.as_published import PublishedClassifier
from sparse_attention.pruning.model import PrunedClassifier
from sparse_attention.pruning.thresholds import PruningSettings

SETTINGS, TENSORS = "pruning.json", "pruning.safetensors"


def make_pruned(classifier: PreTrainedModel, settings: PruningSettings) -> PrunedClassifier:
    """Wrap a classifier in the class of the variant that the settings name.

    Raises
    ------
    InputError
        When the variant `as_published` is asked for and the classifier is not a Longformer.
    """
    if settings.variant == "corrected":
        return PrunedClassifier(classifier, settings)
    if classifier.config.model_type != "longformer":
        text = f"as_published is not allowed with a classifier of the family {classifier.config.model_type}"
        raise InputError(f"prunings.variant: {text}; allowed: longformer")
    return PublishedClassifier(classifier, settings)


def save_pruned_model(model: PrunedClassifier, folder: Path | str) -> None:
    """Write the classifier as a Hugging Face folder, and into it its pruning settings and thresholds."""
    folder = Path(folder)
    with offline():
        model.classifier.save_pretrained(folder)
    write_json(folder / SETTINGS, asdict(model.settings))
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.thresholds.state_dict().items()}
    with atomic_path(folder / TENSORS) as partial:
        save_file(tensors, partial)


def load_pruned_model(folder: Path | str) -> PrunedClassifier:
    """Read what `save_pruned_model` wrote, in float32 and evaluation mode.

    Raises
    ------
    InputError
        When a file is missing or damaged, files do not fit each other, or a weight or threshold is not finite.
    """
    folder = Path(folder)
    settings = _read_settings(folder / SETTINGS)
    model = make_pruned(load_sequence_classifier(folder), settings)
    tensors = read_safetensors(folder / TENSORS)
    wanted = {name: tuple(tensor.shape) for name, tensor in model.thresholds.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if found != wanted:
        text = f"tensors of the shapes {found} are not allowed"
        raise InputError(f"{folder / TENSORS}: {text}; allowed: {wanted}, one number per layer of the model")
    if bad := [name for name, tensor in tensors.items() if not tensor.isfinite().all()]:
        raise InputError(f"{folder / TENSORS}: {bad[0]} holds NaN or infinity; allowed: finite thresholds")
    model.thresholds.load_state_dict(tensors)
    return model.eval()


def _read_settings(path: Path) -> PruningSettings:
    names = list(asdict(PruningSettings()))
    content = read_json(path, f"a JSON object with {', '.join(names)}, in a folder of a pruned model")
    try:
        return PruningSettings(**content)
    except InputError as error:
        raise InputError(f"{path}: {str(error).removeprefix('prunings.')}") from None
    except (ValueError, TypeError) as error:
        raise InputError(f"{path}: {error}; allowed: a JSON object with {', '.join(names)}") from None
