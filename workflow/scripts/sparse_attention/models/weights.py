"""The files of a model's weights: what they hold, and whether it is what the model is made of."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from sparse_attention.errors import InputError
from sparse_attention.files.tensors import read_metadata, read_safetensors, read_torch
from sparse_attention.models.folders import weight_files

if TYPE_CHECKING:
    from transformers import PreTrainedModel

HEADS = (
    *("cls", "lm_head", "head", "decoder", "predictions", "lm_predictions", "mask_predictions"),
    *("vocab_transform", "vocab_layer_norm", "vocab_projector", "generator_predictions", "generator_lm_head"),
    *("discriminator_predictions", "sop_classifier", "classifier", "pre_classifier", "score", "qa_outputs", "pooler"),
)
"""What lies on top of an encoder in checkpoints of the library: an encoder has no use for it."""
POOLER = "pooler"
"""The one part of an encoder that a head may lack."""
BUFFERS = ("position_ids", "token_type_ids")
"""What older libraries stored beside the weights."""
ADAPTER = "adapter_config.json"


def check_files(folder: Path) -> list[Path]:
    """Return the files of a folder's weights.

    Raises
    ------
    InputError
        When there are none, one is missing, a Git LFS pointer or truncated, or an adapter would have to be applied.
    """
    if (folder / ADAPTER).is_file():
        raise InputError(
            f"{folder / ADAPTER}: adapters are not applied; allowed: a model that its adapter is merged into"
        )
    files = weight_files(folder)
    for file in files:
        if file.suffix == ".safetensors":
            read_metadata(file)
    return files


def read_weights(folder: Path) -> dict[str, Tensor]:
    """Read all weights of a folder by name; `InputError` as of `check_files`, or when a file holds anything else."""
    return {name: weight for file in check_files(folder) for name, weight in _read_file(file).items()}


def refuse_unusable(files: Iterable[Path]) -> None:
    """Raise `InputError` when a pickled file cannot be read, or holds anything but weights by name."""
    for file in files:
        if file.suffix != ".safetensors":
            _read_file(file)


def _read_file(file: Path) -> dict[str, Tensor]:
    if file.suffix == ".safetensors":
        return read_safetensors(file)
    weights = read_torch(file)
    if not isinstance(weights, dict) or not all(isinstance(value, Tensor) for value in weights.values()):
        raise InputError(f"{file}: holds no weights by name; allowed: a checkpoint's weights")
    return weights


def refuse_unexpected(
    names: Iterable[str], model: PreTrainedModel, folder: Path | str, unused: tuple[str, ...]
) -> None:
    """Refuse weights that a model has no place for, and that it is wrong without.

    Parameters
    ----------
    names : iterable of str
        Of the weights that were not used, as the file calls them.
    model : PreTrainedModel
    folder : Path or str
        Named in the error.
    unused : tuple of str
        Parts on top of the encoder that may be left out, some of `HEADS` or deeper.

    Raises
    ------
    InputError
        With their number and an example.
    """
    base, allowed = f"{model.base_model_prefix}.", tuple(f"{part}." for part in unused)
    extra = sorted(
        name
        for name in names
        if not name.endswith(BUFFERS)
        and not name.startswith(f"{base}{POOLER}." if name.startswith(base) else allowed)
    )  # fmt: skip
    if not extra:
        return
    family, kind = model.config.model_type, type(model).__name__
    text = f"{len(extra)} weights have no place in the {kind} that config.json declares, such as {extra[0]}"
    hint = "; weights of a Longformer need model_type: longformer" if any("_global." in name for name in extra) else ""
    raise InputError(f"{folder}: {text}; allowed: the weights of model_type: {family}{hint}")
