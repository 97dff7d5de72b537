"""Cuts documents into blocks of a model's tokens."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
from safetensors.numpy import save as serialise

from sparse_attention.data.blocks import BlocksInfo, SplitInfo
from sparse_attention.data.documents import DocumentRow, quantiles
from sparse_attention.data.splits import SPLITS
from sparse_attention.errors import InputError
from sparse_attention.files.atomic import atomic_path
from sparse_attention.files.plain import write_json
from sparse_attention.models.folders import CONFIG, TOKENIZER_CONFIG
from sparse_attention.models.limits import Limits, limits_of

BATCH = 32


@dataclass
class SplitBlocks:
    """The blocks of one split while they are collected.

    Attributes
    ----------
    tokens : list of ndarray
        Each block's token ids, int32 ``(length,)``.
    lengths : list of int
        Each block's tokens without padding.
    owners : list of int
        Each block's document, as an index into `documents`.
    documents : list of str
        Ids of the documents that have a block.
    document_lengths : list of int
        Tokens of every document, also of those without a block, without special tokens.
    kept, characters : int
        Tokens in blocks, without special tokens, and the characters that they cover.
    """

    tokens: list[np.ndarray] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    owners: list[int] = field(default_factory=list)
    documents: list[str] = field(default_factory=list)
    document_lengths: list[int] = field(default_factory=list)
    kept: int = 0
    characters: int = 0


class Tokeniser:
    """A model's tokenizer, prepared to cut documents into blocks.

    Parameters
    ----------
    folder : Path
        A Hugging Face model folder.
    length : int
        Tokens of a block, special tokens included.

    Raises
    ------
    InputError
        When there is no tokenizer of a masked language model, or the model cannot read such blocks.
    """

    def __init__(self, folder: Path, length: int) -> None:
        from sparse_attention.models.hub import load_tokenizer

        limits = limits_of(folder) if (folder / CONFIG).is_file() else None
        self.tokenizer = load_tokenizer(folder)
        self.length = length
        self.special = {name: getattr(self.tokenizer, f"{name}_token_id") for name in ("pad", "cls", "sep", "mask")}
        absent = [name for name in ("pad", "mask") if self.special[name] is None]
        if absent or not self.tokenizer.is_fast:
            what = f"has no {' and no '.join(absent)} token" if absent else "is not a fast tokenizer"
            raise InputError(f"{folder}: its tokenizer {what}; allowed: one of a masked language model")
        self._check_fit(folder, limits)
        sample = self.tokenizer("a", return_special_tokens_mask=True)
        marks = sample["special_tokens_mask"]
        first = marks.index(0)
        last = len(marks) - marks[::-1].index(0)
        self.prefix, self.suffix = sample["input_ids"][:first], sample["input_ids"][last:]

    def _check_fit(self, folder: Path, limits: Limits | None) -> None:
        """Raise `InputError` when the model or its tokenizer cannot read such blocks, or they do not match."""
        if limits is not None:
            limits.check_blocks(self.length, len(self.tokenizer))
        limit = self.tokenizer.model_max_length
        if isinstance(limit, bool) or not isinstance(limit, int | float) or not limit >= 1:
            place = folder / TOKENIZER_CONFIG
            raise InputError(f"{place}: model_max_length: {limit!r} is not allowed; allowed: a number from 1 on")
        if self.length > limit:
            text = f"{self.length} is more than the tokenizer in {folder} allows (model_max_length)"
            raise InputError(f"blocks.length: {text}; allowed: at most {limit}")

    @property
    def content(self) -> int:
        """The number of tokens of a block that are not special."""
        return self.length - len(self.prefix) - len(self.suffix)

    def encode(self, texts: list[str]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield token ids and character spans of each text, without special tokens.

        Yields
        ------
        ids : ndarray
            int32 ``(tokens,)``.
        spans : ndarray
            int64 ``(tokens, 2)``: where the characters of each token start and end in the text.
        """
        encoded = self.tokenizer(texts, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        for ids, spans in zip(encoded["input_ids"], encoded["offset_mapping"], strict=True):
            yield np.asarray(ids, dtype=np.int32), np.asarray(spans, dtype=np.int64).reshape(-1, 2)

    def block(self, tokens: np.ndarray) -> np.ndarray:
        """Return content `tokens`, at most ``(content,)``, between special tokens, padded: int32 ``(length,)``."""
        block = np.full(self.length, self.special["pad"], dtype=np.int32)
        whole = np.concatenate([np.asarray(part, dtype=np.int32) for part in (self.prefix, tokens, self.suffix)])
        block[: len(whole)] = whole
        return block


def collect(documents: Iterable[DocumentRow], tokeniser: Tokeniser, min_length: int) -> dict[str, SplitBlocks]:
    """Cut documents into blocks.

    Parameters
    ----------
    documents : iterable of DocumentRow
    tokeniser : Tokeniser
    min_length : int
        A document's last block is left out when it has fewer tokens, special tokens included.

    Returns
    -------
    dict of str to SplitBlocks
        The blocks of each split.

    Raises
    ------
    InputError
        When all documents of a split are shorter than `min_length`.
    """
    splits = {name: SplitBlocks() for name in SPLITS}
    extra = tokeniser.length - tokeniser.content
    iterator = iter(documents)
    while batch := list(islice(iterator, BATCH)):
        encoded = tokeniser.encode([document["text"] for document in batch])
        for document, (tokens, spans) in zip(batch, encoded, strict=True):
            split = splits[document["split"]]
            split.document_lengths.append(len(tokens))
            starts = [
                start
                for start in range(0, len(tokens), tokeniser.content)
                if min(tokeniser.content, len(tokens) - start) + extra >= min_length
            ]
            for start in starts:
                piece = tokens[start : start + tokeniser.content]
                split.tokens.append(tokeniser.block(piece))
                split.lengths.append(len(piece) + extra)
                split.owners.append(len(split.documents))
                split.kept += len(piece)
            if starts:
                split.documents.append(document["id"])
                end = min(starts[-1] + tokeniser.content, len(tokens))
                split.characters += int(spans[end - 1, 1] - spans[0, 0])
    for name, split in splits.items():
        if split.document_lengths and not split.lengths:
            longest = max(split.document_lengths) + extra
            raise InputError(
                f"blocks.min_length: {min_length} is more than any document of the {name} split has "
                f"({len(split.document_lengths)} documents); allowed: at most {longest}, or longer documents"
            )
    return splits


def statistics(splits: dict[str, SplitBlocks]) -> pd.DataFrame:
    """Count documents, tokens, blocks and left-out tokens of each split, with quantiles of tokens per document."""
    rows = []
    for name, split in splits.items():
        tokens = sum(split.document_lengths)
        row = {"split": name, "documents": len(split.document_lengths), "tokens": tokens, "blocks": len(split.lengths)}
        rows.append(row | {"dropped_tokens": tokens - split.kept, **quantiles(split.document_lengths)})
    return pd.DataFrame(rows)


def unigram_loss(splits: dict[str, SplitBlocks], vocabulary: int, extra: tuple[int, int]) -> float:
    """Return the loss of the validation split, in nats per token, under the train split's token frequencies.

    Frequencies are smoothed by adding one for each entry of the vocabulary. Special tokens do not count, because they
    are never predicted.

    Parameters
    ----------
    splits : dict of str to SplitBlocks
    vocabulary : int
        Number of token ids.
    extra : tuple of int
        Number of special tokens at the start and at the end of a block.
    """
    counts = {}
    for name in ("train", "validation"):
        split = splits[name]
        counts[name] = np.zeros(vocabulary, dtype=np.int64)
        for block, length in zip(split.tokens, split.lengths, strict=True):
            counts[name] += np.bincount(block[extra[0] : length - extra[1]], minlength=vocabulary)
    smoothed = counts["train"] + 1
    logs = np.log(smoothed) - math.log(smoothed.sum())
    return float(-(counts["validation"] * logs).sum() / counts["validation"].sum())


def save(path: Path, info_path: Path, splits: dict[str, SplitBlocks], tokeniser: Tokeniser) -> None:
    """Write the blocks to the safetensors file `path`, and their sidecar to the JSON file `info_path`."""
    tensors, described = {}, {}
    for name, split in splits.items():
        tensors[f"{name}.tokens"] = np.array(split.tokens, dtype=np.int32).reshape(-1, tokeniser.length)
        tensors[f"{name}.lengths"] = np.asarray(split.lengths, dtype=np.int32)
        tensors[f"{name}.documents"] = np.asarray(split.owners, dtype=np.int32)
        described[name] = SplitInfo(len(split.lengths), split.kept, split.characters, split.documents)
    vocabulary = len(tokeniser.tokenizer)
    edges = len(tokeniser.prefix), len(tokeniser.suffix)
    loss = unigram_loss(splits, vocabulary, edges)
    info = BlocksInfo(tokeniser.length, tokeniser.special, vocabulary, loss, described)
    with atomic_path(path) as partial:
        partial.write_bytes(serialise(tensors))
    write_json(info_path, asdict(info), ensure_ascii=False)
