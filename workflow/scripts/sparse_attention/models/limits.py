"""Read from a model's `config.json` what it can process, without torch or transformers.

So a user's own model folder is checked before any job starts, and a retrieved one in the first job that uses it.
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
"""Families whose encoders can become a Longformer."""
PRUNABLE = ("longformer", "roberta", "bert")
"""Families of classifiers whose tokens can be pruned."""
LTP = "ltp"
"""`model_type` of the published pruning code's Longformer."""
WINDOWED = ("longformer", LTP)
"""Families with attention windows."""
AFTER_PADDING = (
    *(*ROBERTA_LIKE, *WINDOWED, "xlm-roberta-xl", "roberta-prelayernorm", "data2vec-text", "ibert", "xmod"),
    *("luke", "mpnet", "lilt", "markuplm", "layoutlmv3", "esm"),
)
"""Families whose first position comes after the padding id, so that the positions before it are never used."""
DEFAULT_PADDING = {"lilt": 0, "markuplm": 0}
"""Padding ids of configurations that name none; that of all other families is 1."""
FIXED_PADDING = {"mpnet": 1}
"""Padding ids of families that count positions from a fixed id, whatever the configuration says."""

LAYERS = ("num_hidden_layers", "n_layers", "n_layer")
POSITIONS = ("max_position_embeddings", "n_positions")
HIDDEN, HEADS = ("hidden_size", "dim", "n_embd"), ("num_attention_heads", "n_heads", "n_head")
HEAD_DIM, KEY_HEADS = "head_dim", "num_key_value_heads"
BOTTLENECK = "true_hidden_size"
"""The hidden size inside a layer of MobileBERT, whose heads share it."""
COUNTS = (
    *(*LAYERS, *POSITIONS, *HIDDEN, *HEADS, HEAD_DIM, KEY_HEADS, BOTTLENECK),
    *("vocab_size", "intermediate_size"),
)
SHARES = ("hidden_dropout_prob", "attention_probs_dropout_prob")
NUMBERS = (*SHARES, "layer_norm_eps", "initializer_range")


@dataclass(frozen=True)
class Limits:
    """Sizes that limit what a model can process; None where the configuration does not give the size.

    Attributes
    ----------
    name : str
        The model as error messages name it.
    family : str or None
        `model_type`.
    layers, heads, key_heads, head_dim : int or None
        Numbers of layers, of query heads and of key heads, and size of a head.
    vocabulary : int or None
        Number of token ids, which start at 0.
    positions : int or None
        The most tokens of a sequence, special tokens included.
    windows : tuple of int
        Longformer's attention window of each layer; empty for other families.
    """

    name: str
    family: str | None
    layers: int | None
    heads: int | None
    key_heads: int | None
    head_dim: int | None
    vocabulary: int | None
    positions: int | None
    windows: tuple[int, ...]

    def check_length(self, length: int, key: str) -> None:
        """Raise `InputError` that names the configuration `key` when a sequence of `length` tokens is too long."""
        if self.positions is not None and length > self.positions:
            raise InputError(f"{key}: {length} is more than {self.name} can read; allowed: at most {self.positions}")

    def check_vocabulary(self, tokens: int, key: str) -> None:
        """Raise `InputError` that names the configuration `key` when the vocabulary has fewer than `tokens` tokens."""
        if self.vocabulary is not None and tokens > self.vocabulary:
            text = f"token id {tokens - 1} is outside the vocabulary of {self.vocabulary} of {self.name}"
            raise InputError(f"{key}: {text}; allowed: tokens of the model's own tokenizer")

    def check_blocks(self, length: int, vocabulary: int) -> None:
        """Raise `InputError` when blocks of `length` tokens, or token ids below `vocabulary`, do not fit the model."""
        self.check_length(length, "blocks.length")
        self.check_vocabulary(vocabulary, "blocks")

    def check_classifier(self, max_tokens: int, layers: int | None) -> None:
        """Raise `InputError` when the model cannot become the classifier that the configuration asks for.

        Parameters
        ----------
        max_tokens : int
            `tokenise_code.max_tokens`.
        layers : int or None
            `train_classifier.longformer.layers`; None where the model keeps its own architecture.

        Raises
        ------
        InputError
            For a family that cannot be used, for too many layers, or, without a Longformer, for too many tokens.
        """
        if layers is None:
            if self.family not in (*PRUNABLE, LTP, None):
                text = f"{self.name} is of the family {self.family}, whose tokens cannot be pruned"
                raise InputError(f"classifier: {text}; allowed: {', '.join(PRUNABLE)}")
            self.check_length(max_tokens, "tokenise_code.max_tokens")
            return
        if self.family not in (*LONGFORMER_SOURCES, None):
            text = f"no Longformer can be made from {self.family}, the family of {self.name}"
            raise InputError(f"train_classifier.longformer: {text}; allowed: {', '.join(LONGFORMER_SOURCES)}, or null")
        self.check_layers(layers)

    def check_layers(self, layers: int, key: str = "train_classifier.longformer.layers") -> None:
        """Raise `InputError` that names the configuration `key` when the model does not have `layers` layers."""
        if layers < 1 or (self.layers is not None and layers > self.layers):
            allowed = "from 1 on" if self.layers is None else f"from 1 to the {self.layers} of {self.name}"
            raise InputError(f"{key}: {layers} is not allowed; allowed: {allowed}")

    def check_all_layers(self, layers: int, key: str) -> None:
        """Raise `InputError` that names the configuration `key` when a file of `layers` layers is not for it."""
        if self.layers not in (None, layers):
            raise InputError(f"{key}: {layers} layers; allowed: {self.layers}, as many as {self.name} has")


def limits_of(folder: Path | str) -> Limits:
    """Read the limits of the model in a folder.

    Raises
    ------
    InputError
        When `config.json` is missing or damaged, or holds sizes that no model can have; when a weight file is a Git
        LFS pointer.
    """
    refuse_weight_pointers(folder)
    return limits_in(read_config(folder), folder)


def limits_of_model(model: PreTrainedModel) -> Limits:
    """Return the limits of a model of transformers; raise as `limits_in` does."""
    return limits_in(model.config.to_dict(), model.name_or_path or type(model).__name__)


def limits_in(config: Mapping[str, Any], folder: Path | str) -> Limits:
    """Return the limits that the content of a `config.json` gives.

    Parameters
    ----------
    config : mapping
        Content of `config.json`.
    folder : Path or str
        Folder of the model, which error messages name.

    Raises
    ------
    InputError
        When a size is no whole number, the hidden size is no multiple of the number of heads, the attention windows do
        not fit the layers or the family, or no position is left after the padding id.
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
            raise InputError(f"{path}: {key}: {value!r} is not allowed; allowed: {allowed}")
    hidden, heads = _first(config, HIDDEN), _first(config, HEADS)
    if hidden and heads and HEAD_DIM not in config and "embedding_size" not in config and hidden % heads:
        text = f"a hidden size of {hidden} is not allowed with {heads} heads"
        raise InputError(f"{path}: {text}; allowed: a multiple of {heads}")
    family, layers = config.get("model_type"), _first(config, LAYERS)
    if not isinstance(family, str | None):
        raise InputError(f"{path}: model_type: {family!r} is not allowed; allowed: the name of a family, such as bert")
    windows = _windows(config, layers, path) if family in WINDOWED else ()
    if family in LONGFORMER_SOURCES and config.get("attention_window") is not None:
        text = f"models of the family {family} have no attention windows"
        raise InputError(f"{path}: attention_window: {text}; allowed: model_type: longformer, or no attention_window")
    positions = _positions(config, family, path)
    inside = config.get(BOTTLENECK) or hidden
    head_dim = config.get(HEAD_DIM) or (inside // heads if inside and heads else None)
    sizes = layers, heads, config.get(KEY_HEADS), head_dim, config.get("vocab_size")
    return Limits(f"the model in {folder}", family, *sizes, positions, windows)


def _check_count(config: Mapping[str, Any], key: str, path: Path, least: int = 1) -> None:
    value = config.get(key)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < least):
        raise InputError(f"{path}: {key}: {value!r} is not allowed; allowed: a whole number from {least} on")


def _first(config: Mapping[str, Any], keys: tuple[str, ...]) -> int | None:
    return next((config[key] for key in keys if config.get(key) is not None), None)


def _positions(config: Mapping[str, Any], family: str | None, path: Path) -> int | None:
    table = _first(config, POSITIONS)
    if table is None or family not in AFTER_PADDING or config.get("position_embedding_type", "absolute") != "absolute":
        return table
    key = "pad_token_id"
    padding = FIXED_PADDING.get(family, config.get(key, DEFAULT_PADDING.get(family, 1)))
    if padding is None:
        allowed = f"a whole number, since {family} counts positions from the one after it"
        raise InputError(f"{path}: {key}: null is not allowed; allowed: {allowed}")
    _check_count(config, key, path, 0)
    if padding + 1 >= table:
        text = f"leaves no position, since {family} uses none up to {key}, which is {padding}"
        raise InputError(f"{path}: max_position_embeddings: {table} {text}; allowed: more than {padding + 1}")
    return table - padding - 1


def _windows(config: Mapping[str, Any], layers: int | None, path: Path) -> tuple[int, ...]:
    value = config.get("attention_window")
    if value is None:
        return ()
    windows = value if isinstance(value, list | tuple) else [value] * (layers or 1)
    if not all(isinstance(window, int) and window > 0 and window % 2 == 0 for window in windows):
        text = "an even number from 2 on, or one for each layer"
        raise InputError(f"{path}: attention_window: {value!r} is not allowed; allowed: {text}")
    if layers is not None and len(windows) != layers:
        text = f"{len(windows)} windows do not fit {layers} layers"
        raise InputError(f"{path}: attention_window: {text}; allowed: one number, or one for each layer")
    return tuple(windows)
