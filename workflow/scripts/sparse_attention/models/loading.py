"""Reads encoders and classifiers, and refuses those that are not whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import AutoModel, AutoModelForSequenceClassification, PreTrainedModel

from sparse_attention.errors import InputError
from sparse_attention.models.hub import load_model
from sparse_attention.models.longformer import LongformerShape, longformer_from_encoder
from sparse_attention.models.ltp_checkpoint import is_ltp, load_ltp
from sparse_attention.models.weights import HEADS

MAY_LACK = ("classifier.", "pooler.")
"""What a classifier has and an encoder or masked language model may lack."""
OTHER_HEADS = tuple(head for head in HEADS if head != "classifier")
"""What a classifier leaves out: a head of its own name that it has no place for is of another task."""


def load_whole(
    kind: Any, folder: Path | str, what: str, may_miss: tuple[str, ...] = (), unused: tuple[str, ...] = HEADS
) -> PreTrainedModel:
    """Load a folder as `load_model` does, with its arguments and errors, and refuse one that is not whole.

    Parameters
    ----------
    may_miss : tuple of str
        Beginnings of names, without the base model's, of weights that may be missing.

    Raises
    ------
    InputError
        When other weights are missing.
    """
    model: PreTrainedModel
    model, missing = load_model(kind, folder, what, unused)
    base = f"{model.base_model_prefix}."
    absent = sorted(name for name in missing if not name.removeprefix(base).startswith(may_miss))
    if absent:
        raise InputError(
            f"{folder}: {len(absent)} weights are missing, such as {absent[0]}; allowed: {what} that is whole"
        )
    return model


def load_classifier(
    folder: Path | str, longformer: LongformerShape | None, max_tokens: int, whole: bool = False
) -> PreTrainedModel:
    """Load a binary classifier of sequences, or make one of an encoder; a missing head is drawn by torch's seed.

    Parameters
    ----------
    folder : Path or str
    longformer : LongformerShape, optional
        What the encoder becomes, for `max_tokens`. None keeps the folder's architecture.
    max_tokens : int
    whole : bool
        The head must be there: the classifier is used as it is.

    Raises
    ------
    InputError
        When the folder cannot be used, or the classifier has more than two classes.
    """
    if longformer is not None and not whole:
        encoder = load_whole(AutoModel, folder, "an encoder", ("pooler.",))
        return longformer_from_encoder(encoder, longformer.layers, longformer.window, max_tokens)
    model = load_ltp(folder) if is_ltp(folder) else load_sequence_classifier(folder, () if whole else MAY_LACK)
    if model.config.num_labels != 2:
        raise InputError(f"{folder}: a classifier of {model.config.num_labels} classes; allowed: 2 classes")
    return model


def load_sequence_classifier(folder: Path | str, may_miss: tuple[str, ...] = ()) -> PreTrainedModel:
    """Load a folder as a classifier of sequences; arguments and errors as of `load_whole`."""
    return load_whole(AutoModelForSequenceClassification, folder, "a sequence classifier", may_miss, OTHER_HEADS)
