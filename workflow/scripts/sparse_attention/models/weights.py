"""Read the weight files of a model, and check that they fit the model."""

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
"""Modules on top of an encoder in checkpoints of transformers; an encoder does not use them."""
POOLER = "pooler"
"""The part of an encoder that some classes of transformers leave out, so that a folder may hold it unused."""
BUFFERS = ("position_ids", "token_type_ids")
"""Buffers that older versions of transformers stored beside the weights."""
ADAPTER = "adapter_config.json"


def check_files(folder: Path) -> list[Path]:
    """Return the files of a folder's weights.

    Raises
    ------
    InputError
        When there are none; when one is missing, truncated or a Git LFS pointer; when the folder holds an adapter.
    """
    if (folder / ADAPTER).is_file():
        raise InputError(
            f"{folder / ADAPTER}: adapters are not applied; allowed: a model with the adapter merged into its weights"
        )
    files = weight_files(folder)
    for file in files:
        if file.suffix == ".safetensors":
            read_metadata(file)
    return files


def read_weights(folder: Path) -> dict[str, Tensor]:
    """Read all weights of a folder by name; raise as `check_files` does, or when a file holds anything but weights."""
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
        raise InputError(f"{file}: holds no weights by name; allowed: an object that maps names of weights to tensors")
    return weights


def refuse_unexpected(
    names: Iterable[str], model: PreTrainedModel, folder: Path | str, unused: tuple[str, ...]
) -> None:
    """Refuse weights that were not used, except those of unused heads, of the pooler and old buffers.

    Parameters
    ----------
    names : iterable of str
        Names in the file of the weights that were not used.
    model : PreTrainedModel
        The model that was loaded.
    folder : Path or str
        The model folder, which the error names.
    unused : tuple of str
        Modules on top of the encoder that may be left unused: some of `HEADS`, or modules inside them.

    Raises
    ------
    InputError
        With the number of these weights and the first one.
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
