"""What a model can read, by its `config.json` alone: the one place that knows; neither torch nor transformers needed.

A user's own folder can be checked before any job starts, and a retrieved one in the first job that has it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparse_attention.errors import InputError
from sparse_attention.models.folders import CONFIG, read_config, refuse_weight_pointers

if TYPE_CHECKING:
    from transformers import PreTrainedModel

ROBERTA_LIKE = ("roberta", "xlm-roberta", "camembert")
LONGFORMER_SOURCES = ("bert", *ROBERTA_LIKE)
"""Families that a Longformer can be made of."""
PRUNABLE = ("longformer", "roberta", "bert")
"""Families of classifiers whose tokens can be pruned."""
LTP = "ltp"
"""The published pruning code's name for its Longformer."""
WINDOWED = ("longformer", LTP)
AFTER_PADDING = (
    *(*ROBERTA_LIKE, *WINDOWED, "xlm-roberta-xl", "roberta-prelayernorm", "data2vec-text", "ibert", "xmod"),
    *("luke", "mpnet", "lilt", "markuplm", "layoutlmv3", "esm"),
)
"""Families whose first position comes after the padding id, so that the positions before it are never used."""
DEFAULT_PADDING = {"lilt": 0, "markuplm": 0}
FIXED_PADDING = {"mpnet": 1}

LAYERS = ("num_hidden_layers", "n_layers", "n_layer")
POSITIONS = ("max_position_embeddings", "n_positions")
HIDDEN, HEADS = ("hidden_size", "dim", "n_embd"), ("num_attention_heads", "n_heads", "n_head")
COUNTS = (*LAYERS, *POSITIONS, *HIDDEN, *HEADS, "vocab_size", "intermediate_size")
SHARES = ("hidden_dropout_prob", "attention_probs_dropout_prob")
NUMBERS = (*SHARES, "layer_norm_eps", "initializer_range")


@dataclass(frozen=True)
class Limits:
    """What a model can read; None stands for what its configuration leaves to the library.

    Attributes
    ----------
    place : str
        Names the model in errors.
    family : str or None
        `model_type`.
    layers : int or None
    vocabulary : int or None
        Token ids go from 0 to one less.
    positions : int or None
        The most tokens of a sequence, special tokens included.
    windows : tuple of int
        Longformer's attention window of each layer; empty for other families.
    """

    place: str
    family: str | None
    layers: int | None
    vocabulary: int | None
    positions: int | None
    windows: tuple[int, ...]

    def check_length(self, length: int, key: str) -> None:
        """Raise `InputError`, which names the configuration's `key`, when a sequence of `length` tokens is too long."""
        if self.positions is not None and length > self.positions:
            raise InputError(f"{key}: {length} is more than {self.place} can read; allowed: at most {self.positions}")

    def check_vocabulary(self, tokens: int, key: str) -> None:
        """Raise `InputError`, which names `key`, when the model knows fewer than `tokens` tokens."""
        if self.vocabulary is not None and tokens > self.vocabulary:
            text = f"token id {tokens - 1} is outside the vocabulary of {self.vocabulary} of {self.place}"
            raise InputError(f"{key}: {text}; allowed: tokens of the model's own tokenizer")

    def check_blocks(self, length: int, vocabulary: int) -> None:
        """Refuse blocks of `blocks.length` tokens made by a tokenizer with a `vocabulary`, which masking draws from."""
        self.check_length(length, "blocks.length")
        self.check_vocabulary(vocabulary, "blocks")

    def check_classifier(self, max_tokens: int, layers: int | None) -> None:
        """Refuse a model that cannot become the classifier of code that the configuration wants.

        Parameters
        ----------
        max_tokens : int
            `tokenise_code.max_tokens`.
        layers : int or None
            `train_classifier.longformer.layers`; None where the model keeps its own architecture.

        Raises
        ------
        InputError
            For a family that cannot be used so, too many layers, or, without a Longformer, too many tokens.
        """
        if layers is None:
            if self.family not in (*PRUNABLE, LTP, None):
                text = f"{self.place} is of the family {self.family}, whose tokens cannot be pruned"
                raise InputError(f"classifier: {text}; allowed: {', '.join(PRUNABLE)}")
            self.check_length(max_tokens, "tokenise_code.max_tokens")
            return
        if self.family not in (*LONGFORMER_SOURCES, None):
            text = f"no Longformer can be made from {self.family}, the family of {self.place}"
            raise InputError(f"train_classifier.longformer: {text}; allowed: {', '.join(LONGFORMER_SOURCES)}, or null")
        self.check_layers(layers)

    def check_layers(self, layers: int, key: str = "train_classifier.longformer.layers") -> None:
        """Raise `InputError`, which names `key`, when there are not as many `layers` to take."""
        if layers < 1 or (self.layers is not None and layers > self.layers):
            most = "" if self.layers is None else f" to the {self.layers} of {self.place}"
            raise InputError(f"{key}: {layers}; allowed: from 1{most}")


def limits_of(folder: Path | str) -> Limits:
    """Read the limits of the model in a folder.

    Raises
    ------
    InputError
        When `config.json` is missing or damaged, or holds sizes that no model can have; when a file of weights is only
        a Git LFS pointer.
    """
    refuse_weight_pointers(folder)
    return limits_in(read_config(folder), folder)


def limits_of_model(model: PreTrainedModel) -> Limits:
    """Return the limits of a model of transformers; `InputError` as of `limits_in`."""
    return limits_in(model.config.to_dict(), model.name_or_path or type(model).__name__)


def limits_in(config: Mapping[str, Any], folder: Path | str) -> Limits:
    """Return the limits that a configuration gives; `folder` names it in errors.

    Raises
    ------
    InputError
        When a size is no whole number, the hidden size does not divide into the heads, the attention windows do not
        fit the layers or the family, or no position is left after the padding id.
    """
    path = Path(folder) / CONFIG
    for key in COUNTS:
        _check_count(config, key, path)
    for key in NUMBERS:
        value = config.get(key)
        most = 1 if key in SHARES else math.inf
        if value is not None and (
            isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most or value == math.inf
        ):
            allowed = "a number from 0 to 1" if key in SHARES else "a number from 0 on"
            raise InputError(f"{path}: {key}: {value!r}; allowed: {allowed}")
    hidden, heads = _first(config, HIDDEN), _first(config, HEADS)
    if hidden and heads and "head_dim" not in config and "embedding_size" not in config and hidden % heads:
        raise InputError(f"{path}: a hidden size of {hidden} cannot be shared by {heads} heads; allowed: a multiple")
    family, layers = config.get("model_type"), _first(config, LAYERS)
    if not isinstance(family, str | None):
        raise InputError(f"{path}: model_type: {family!r}; allowed: the name of a family, such as bert")
    windows = _windows(config, layers, path) if family in WINDOWED else ()
    if family in LONGFORMER_SOURCES and config.get("attention_window") is not None:
        text = f"{family} has none; a Longformer under that name would be read without its windows"
        raise InputError(f"{path}: attention_window: {text}; allowed: model_type: longformer, or no windows")
    positions = _positions(config, family, path)
    return Limits(f"the model in {folder}", family, layers, config.get("vocab_size"), positions, windows)


def _check_count(config: Mapping[str, Any], key: str, path: Path, least: int = 1) -> None:
    value = config.get(key)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < least):
        raise InputError(f"{path}: {key}: {value!r}; allowed: a whole number from {least} on")


def _first(config: Mapping[str, Any], keys: tuple[str, ...]) -> int | None:
    return next((config[key] for key in keys if config.get(key) is not None), None)


def _positions(config: Mapping[str, Any], family: str | None, path: Path) -> int | None:
    table = _first(config, POSITIONS)
    if table is None or family not in AFTER_PADDING or config.get("position_embedding_type", "absolute") != "absolute":
        return table
    key = "pad_token_id"
    padding = FIXED_PADDING.get(family, config.get(key, DEFAULT_PADDING.get(family, 1)))
    if padding is None:
        raise InputError(f"{path}: {key}: null; allowed: a whole number, after which {family} numbers its positions")
    _check_count(config, key, path, 0)
    if padding + 1 >= table:
        text = f"leaves no position, since {family} numbers them from {key} {padding} on"
        raise InputError(f"{path}: max_position_embeddings: {table} {text}; allowed: more than {padding + 1}")
    return table - padding - 1


def _windows(config: Mapping[str, Any], layers: int | None, path: Path) -> tuple[int, ...]:
    given = config.get("attention_window")
    if given is None:
        return ()
    windows = given if isinstance(given, list | tuple) else [given] * (layers or 1)
    if not all(isinstance(window, int) and window > 0 and window % 2 == 0 for window in windows):
        text = "an even number from 2 on, or one for each layer"
        raise InputError(f"{path}: attention_window: {given!r}; allowed: {text}")
    if layers is not None and len(windows) != layers:
        text = f"{len(windows)} windows for {layers} layers"
        raise InputError(f"{path}: attention_window: {text}; allowed: one number, or one for each layer")
    return tuple(windows)
