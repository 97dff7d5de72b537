"""Reads Hugging Face folders without network, in float32, and refuses those that are not whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer, PreTrainedModel

from sparse_attention.errors import InputError
from sparse_attention.models.longformer import longformer_from_encoder
from sparse_attention.models.ltp_checkpoint import is_ltp, load_ltp
from sparse_attention.models.masked_lm import offline

HEADS = ("classifier.", "pooler.")
"""What a classifier has and an encoder or masked language model may lack."""


def load_whole(kind: Any, folder: Path | str, what: str, may_miss: tuple[str, ...] = ()) -> PreTrainedModel:
    """Load a folder with `kind.from_pretrained`, in evaluation mode.

    Parameters
    ----------
    kind
        One of transformers' Auto classes.
    folder : Path or str
    what : str
        Names it in errors: `an encoder`.
    may_miss : tuple of str
        Beginnings of names, without the base model's, of weights that may be missing.

    Raises
    ------
    InputError
        When the folder cannot be loaded, or other weights are missing.
    """
    if not (Path(folder) / "config.json").is_file():
        raise InputError(f"{folder}: no config.json; allowed: a Hugging Face model folder")
    try:
        with offline():
            model, report = kind.from_pretrained(
                folder, dtype=torch.float32, local_files_only=True, trust_remote_code=False, output_loading_info=True
            )
    except (OSError, ValueError, RuntimeError, KeyError, ImportError, SafetensorError) as error:
        raise InputError(f"{folder}: cannot be loaded as {what}: {error}") from None
    base = f"{model.base_model_prefix}."
    missing = sorted(name for name in report["missing_keys"] if not name.removeprefix(base).startswith(may_miss))
    if missing:
        raise InputError(
            f"{folder}: {len(missing)} weights are missing, such as {missing[0]}; allowed: {what} that is whole"
        )
    return model.eval()


def load_classifier(
    folder: Path | str, longformer: dict[str, Any] | None, max_tokens: int, whole: bool = False
) -> PreTrainedModel:
    """Load a binary classifier of sequences, or make one of an encoder; a missing head is drawn by torch's seed.

    Parameters
    ----------
    folder : Path or str
    longformer : dict, optional
        `layers` and `window`: the encoder becomes a Longformer for `max_tokens`. None keeps the folder's architecture.
    max_tokens : int
    whole : bool
        The head must be there: the classifier is used as it is.

    Raises
    ------
    InputError
        When the folder cannot be used, or tells more than two classes apart.
    """
    if longformer is not None and not whole:
        encoder = load_whole(AutoModel, folder, "an encoder", ("pooler.",))
        return longformer_from_encoder(encoder, longformer["layers"], longformer["window"], max_tokens)
    model: PreTrainedModel
    if is_ltp(folder):
        model = load_ltp(folder)
    else:
        may_miss = () if whole else HEADS
        model = load_whole(AutoModelForSequenceClassification, folder, "a sequence classifier", may_miss)
    if model.config.num_labels != 2:
        raise InputError(f"{folder}: tells {model.config.num_labels} classes apart; allowed: 2")
    return model


def copy_tokenizer(source: Path | str, folder: Path | str) -> None:
    """Write the tokenizer of the model in `source` into `folder`."""
    with offline():
        AutoTokenizer.from_pretrained(source, local_files_only=True).save_pretrained(folder)
