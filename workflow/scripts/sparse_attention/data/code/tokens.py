"""Turns functions into the tokens that a classifier reads, cut to its maximum length."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
import torch
from safetensors.torch import save
from torch import Tensor

from sparse_attention.data.code.functions import Function
from sparse_attention.data.documents import quantiles
from sparse_attention.data.splits import SPLITS
from sparse_attention.errors import InputError
from sparse_attention.files.atomic import atomic_path
from sparse_attention.files.plain import read_json, write_json
from sparse_attention.files.tensors import read_safetensors

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

PARTS = ("ids", "spans", "lengths", "whole_lengths", "labels", "splits")


def _check_parts(file: Path, parts: Mapping[str, Tensor]) -> None:
    """Raise `InputError` when tensors do not have the shapes and types that `CodeTokens` describes."""
    tokens, functions = len(parts["ids"]) if parts["ids"].ndim else 0, parts["lengths"].numel()
    shapes = dict.fromkeys(PARTS, (functions,)) | {"ids": (tokens,), "spans": (tokens, 2)}
    for name, part in parts.items():
        kind = torch.int8 if name in ("labels", "splits") else torch.int32
        if part.dtype != kind or tuple(part.shape) != shapes[name]:
            text = f"{name} is {str(part.dtype).removeprefix('torch.')} of shape {tuple(part.shape)}"
            wanted = f"{str(kind).removeprefix('torch.')} of shape {shapes[name]}"
            raise InputError(f"{file}: {text}; allowed: {wanted}, as tokenise_code writes")
    if functions == 0 or (parts["lengths"] < 1).any() or int(parts["lengths"].sum()) != tokens:
        raise InputError(
            f"{file}: the lengths do not add up to {tokens} tokens; allowed: a file that tokenise_code writes"
        )


@dataclass(frozen=True)
class TokensInfo:
    """The content of the sidecar of tokens.

    Attributes
    ----------
    pad : int
        Id of the padding token.
    vocabulary : int
        Size of the tokenizer's vocabulary.
    max_tokens : int
        Maximum number of tokens per function, special tokens included.
    """

    pad: int
    vocabulary: int
    max_tokens: int


class Batch(NamedTuple):
    """Functions padded to the longest: ids and mask int64 ``(batch, length)``, labels int64 ``(batch,)``."""

    ids: Tensor
    mask: Tensor
    labels: Tensor


@dataclass(frozen=True)
class CodeTokens:
    """The tokens of all functions, in the order of the file of functions.

    Attributes
    ----------
    ids : Tensor
        int32 ``(tokens,)``, one function after the other, special tokens included.
    spans : Tensor
        int32 ``(tokens, 2)``: start and end of a token's characters in the function's source; 0 and 0 for special ones.
    lengths, whole_lengths : Tensor
        int32 ``(functions,)``: number of tokens after cutting, and before.
    labels, splits : Tensor
        int8 ``(functions,)``: 0 or 1, and an index into `SPLITS`.
    info : TokensInfo
        The sidecar.
    """

    ids: Tensor
    spans: Tensor
    lengths: Tensor
    whole_lengths: Tensor
    labels: Tensor
    splits: Tensor
    info: TokensInfo

    def of(self, split: str) -> Tensor:
        """Return the indices of a split's functions, int64 ``(functions,)``."""
        return (self.splits == SPLITS.index(split)).nonzero()[:, 0]

    def slice_of(self, function: int) -> slice:
        """Return the slice of `ids` and `spans` that holds a function's tokens."""
        start = int(self._starts[function])
        return slice(start, start + int(self.lengths[function]))

    def batch(self, functions: Sequence[int]) -> Batch:
        """Return the functions with the given indices as a batch."""
        slices = [self.slice_of(function) for function in functions]
        longest = max(tokens.stop - tokens.start for tokens in slices)
        ids = torch.full((len(slices), longest), self.info.pad, dtype=torch.int64)
        mask = torch.zeros_like(ids)
        for row, tokens in enumerate(slices):
            length = tokens.stop - tokens.start
            ids[row, :length] = self.ids[tokens]
            mask[row, :length] = 1
        return Batch(ids, mask, self.labels[torch.tensor(functions)].long())

    @functools.cached_property
    def _starts(self) -> Tensor:
        ends = self.lengths.cumsum(0)
        return ends - self.lengths

    def save(self, path: Path, info_path: Path) -> None:
        """Write the tensors and their sidecar."""
        tensors = {name: getattr(self, name).contiguous() for name in PARTS}
        with atomic_path(path) as partial:
            partial.write_bytes(save(tensors))
        write_json(info_path, asdict(self.info))

    @classmethod
    def load(cls, path: Path | str) -> CodeTokens:
        """Read the tensors and their sidecar; raise `InputError` when they are not what `save` writes."""
        file = Path(path)
        tensors = read_safetensors(file)
        if set(tensors) != set(PARTS):
            raise InputError(f"{file}: holds {sorted(tensors)}; allowed: {', '.join(PARTS)}, as tokenise_code writes")
        _check_parts(file, tensors)
        sidecar = file.with_suffix(".json")
        content = read_json(sidecar, "what tokenise_code writes")
        names = [field.name for field in fields(TokensInfo)]
        for name in names:
            if type(content.get(name)) is not int or not 0 <= content[name] < 2**31:
                raise InputError(
                    f"{sidecar}: {name}: {content.get(name)!r} is not allowed; allowed: a whole number from 0 on"
                )
        return cls(**tensors, info=TokensInfo(**{name: content[name] for name in names}))


def load_tokenizer(folder: Path | str) -> PreTrainedTokenizerBase:
    """Load a model's tokenizer.

    Raises
    ------
    InputError
        When there is none, it has no padding token, or it is not a fast one: only these give the characters of tokens.
    """
    from sparse_attention.models import hub

    tokenizer = hub.load_tokenizer(folder)
    if not tokenizer.is_fast or tokenizer.pad_token_id is None:
        what = "has no padding token" if tokenizer.is_fast else "is not a fast tokenizer"
        raise InputError(f"{folder}: its tokenizer {what}; allowed: a fast tokenizer of an encoder")
    return tokenizer


def tokenise(functions: Sequence[Function], tokenizer: PreTrainedTokenizerBase, max_tokens: int) -> CodeTokens:
    """Tokenise functions and cut the ends of those that are too long.

    Parameters
    ----------
    functions : sequence of Function
    tokenizer : PreTrainedTokenizerBase
        A fast tokenizer, as `load_tokenizer` returns it.
    max_tokens : int
        The most tokens per function, special tokens included; these are kept.
    """
    texts = [function.source for function in functions]
    tokenizer.truncation_side = "right"
    short = tokenizer(texts, truncation=True, max_length=max_tokens, return_offsets_mapping=True, verbose=False)
    whole = [len(ids) for ids in tokenizer(texts, verbose=False)["input_ids"]]
    return CodeTokens(
        ids=torch.tensor(np.concatenate(short["input_ids"]), dtype=torch.int32),
        spans=torch.tensor(np.concatenate(short["offset_mapping"]), dtype=torch.int32),
        lengths=torch.tensor([len(ids) for ids in short["input_ids"]], dtype=torch.int32),
        whole_lengths=torch.tensor(whole, dtype=torch.int32),
        labels=torch.tensor([function.label for function in functions], dtype=torch.int8),
        splits=torch.tensor([SPLITS.index(function.split) for function in functions], dtype=torch.int8),
        info=TokensInfo(tokenizer.pad_token_id, len(tokenizer), max_tokens),
    )


def statistics(tokens: CodeTokens) -> pd.DataFrame:
    """Return for each split and label the number of functions, the share that was cut, and quantiles of lengths."""
    rows = []
    for split in SPLITS:
        for label in (0, 1):
            chosen = tokens.of(split)[tokens.labels[tokens.of(split)] == label]
            lengths = tokens.whole_lengths[chosen]
            cut = float((lengths > tokens.lengths[chosen]).float().mean())
            counts = {"functions": len(chosen), "truncated": cut}
            rows.append({"split": split, "label": label, **counts, **quantiles(lengths.tolist())})
    return pd.DataFrame(rows)
