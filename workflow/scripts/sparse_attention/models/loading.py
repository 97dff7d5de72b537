"""Load encoders and classifiers, and refuse folders that lack weights."""

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
"""Name prefixes of a classifier's weights that the folder of an encoder or masked language model may lack."""
OTHER_HEADS = tuple(head for head in HEADS if head != "classifier")
"""Heads in a folder that a classifier does not use.

Unused weights under `classifier` are refused: they belong to another kind of classifier.
"""


def load_complete(
    kind: Any, folder: Path | str, what: str, may_miss: tuple[str, ...] = (), unused: tuple[str, ...] = HEADS
) -> PreTrainedModel:
    """Load a folder as `load_model` does, and refuse one that lacks weights.

    Parameters
    ----------
    kind, folder, what, unused
        See `load_model`.
    may_miss : tuple of str
        Name prefixes of weights that may be missing; the prefix of the base model is left out.

    Raises
    ------
    InputError
        As `load_model`, and when other weights are missing.
    """
    model: PreTrainedModel
    model, missing = load_model(kind, folder, what, unused)
    base = f"{model.base_model_prefix}."
    absent = sorted(name for name in missing if not name.removeprefix(base).startswith(may_miss))
    if absent:
        raise InputError(
            f"{folder}: {len(absent)} weights are missing, such as {absent[0]}; allowed: {what} with all its weights"
        )
    return model


def load_classifier(
    folder: Path | str, longformer: LongformerShape | None, max_tokens: int, require_head: bool = False
) -> PreTrainedModel:
    """Load a binary sequence classifier, or make one from an encoder.

    A missing head is initialised at random, from torch's global seed.

    Parameters
    ----------
    folder : Path or str
        The model folder.
    longformer : LongformerShape, optional
        Shape of the Longformer that is made from the encoder; None keeps the folder's architecture.
    max_tokens : int
        Longest sequence of that Longformer.
    require_head : bool
        Refuse a folder without a classification head, since the classifier is used as it is.

    Raises
    ------
    InputError
        When the folder cannot be used, or the classifier does not have exactly two classes.
    """
    if longformer is not None:
        encoder = load_complete(AutoModel, folder, "an encoder", ("pooler.",))
        return longformer_from_encoder(encoder, longformer.layers, longformer.window, max_tokens)
    model = load_ltp(folder) if is_ltp(folder) else load_sequence_classifier(folder, () if require_head else MAY_LACK)
    if model.config.num_labels != 2:
        raise InputError(
            f"{folder}: a classifier with {model.config.num_labels} classes is not allowed; allowed: 2 classes"
        )
    return model


def load_sequence_classifier(folder: Path | str, may_miss: tuple[str, ...] = ()) -> PreTrainedModel:
    """Load a folder as a sequence classifier; arguments and errors are those of `load_complete`."""
    return load_complete(AutoModelForSequenceClassification, folder, "a sequence classifier", may_miss, OTHER_HEADS)
