"""Blocks of tokens, the inputs of a language model; each block comes from one document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch

from sparse_attention.errors import InputError
from sparse_attention.files.plain import read_json
from sparse_attention.files.tensors import read_safetensors

PARTS = ("tokens", "lengths", "documents")


@dataclass(frozen=True)
class SplitInfo:
    """Numbers of one split's blocks.

    Attributes
    ----------
    blocks : int
        Number of blocks.
    tokens : int
        Number of tokens in them, without special tokens and padding.
    characters : int
        Number of characters that these tokens cover.
    documents : list of str
        Ids of the documents that have a block, in source order.
    """

    blocks: int
    tokens: int
    characters: int
    documents: list[str]


@dataclass(frozen=True)
class BlocksInfo:
    """The content of the sidecar of blocks.

    Attributes
    ----------
    length : int
        Tokens per block, special tokens and padding included.
    special : mapping
        Ids of the special tokens by name (pad, cls, sep, mask); None where the tokenizer has none.
    vocabulary : int
        Size of the tokenizer's vocabulary.
    unigram_loss : float
        Loss of the validation split under the token frequencies of the train split, in nats per token.
    splits : mapping
        Numbers of each split by its name.
    """

    length: int
    special: Mapping[str, int | None]
    vocabulary: int
    unigram_loss: float
    splits: Mapping[str, SplitInfo]


KEYS = tuple(field.name for field in fields(BlocksInfo))
FACTS = tuple(field.name for field in fields(SplitInfo))
COUNTS = tuple(name for name in FACTS if name != "documents")


@dataclass(frozen=True)
class Blocks:
    """Tokenised blocks of a corpus.

    Attributes
    ----------
    tensors : dict
        `{split}.tokens`, int32 ``(blocks, length)``, padded; `{split}.lengths`, tokens without padding, and
        `{split}.documents`, indices into `document_ids(split)`, int32 ``(blocks,)``.
    info : BlocksInfo
        The sidecar.
    """

    tensors: dict[str, torch.Tensor]
    info: BlocksInfo

    @classmethod
    def load(cls, path: Path | str) -> Blocks:
        """Read blocks and their sidecar `.json`; raise `InputError` when they are not what `tokenise` writes."""
        file = Path(path)
        info = _read_info(file.with_suffix(".json"))
        tensors = read_safetensors(file)
        wanted = [f"{split}.{part}" for split in info.splits for part in PARTS]
        if missing := [name for name in wanted if name not in tensors]:
            raise InputError(f"{file}: lacks {', '.join(missing)}; allowed: the blocks that tokenise writes")
        for split, facts in info.splits.items():
            shape = (facts.blocks, info.length)
            for part in PARTS:
                found, expected = tensors[f"{split}.{part}"], shape if part == "tokens" else shape[:1]
                if tuple(found.shape) != expected or found.dtype != torch.int32:
                    text = f"{split}.{part} is {tuple(found.shape)} {found.dtype}; allowed: {expected} torch.int32"
                    raise InputError(f"{file}: {text}, as its .json says")
        return cls(tensors, info)

    def split(self, name: str) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the blocks of a split.

        Returns
        -------
        tokens : Tensor
            int32 ``(blocks, length)``, padded.
        lengths : Tensor
            int32 ``(blocks,)``: tokens of each block without padding.
        documents : Tensor
            int32 ``(blocks,)``: each block's document, as an index into `document_ids(name)`.
        """
        return tuple(self.tensors[f"{name}.{part}"] for part in PARTS)  # type: ignore[return-value]

    def document_ids(self, name: str) -> list[str]:
        """Return the ids of a split's documents that have a block, in source order."""
        return self.info.splits[name].documents


def _read_info(path: Path) -> BlocksInfo:
    allowed = f"allowed: a JSON object with {', '.join(KEYS)}, as tokenise writes"
    content = read_json(path, allowed.removeprefix("allowed: "))
    splits = content.get("splits")
    if not isinstance(splits, dict) or not all(_is_split(facts) for facts in splits.values()):
        raise InputError(f"{path}: does not describe the splits of the blocks; {allowed}")
    if missing := [name for name in KEYS if name not in content]:
        raise InputError(f"{path}: lacks {', '.join(missing)}; {allowed}")
    described = {name: SplitInfo(*(facts[part] for part in FACTS)) for name, facts in splits.items()}
    return BlocksInfo(**{name: content[name] for name in KEYS} | {"splits": described})


def _is_split(facts: Any) -> bool:
    """Return whether the entry of a split has its numbers of blocks, tokens and characters, and its documents' ids."""
    if not isinstance(facts, dict) or any(type(facts.get(part)) is not int for part in COUNTS):
        return False
    documents = facts.get("documents")
    return isinstance(documents, list) and all(isinstance(name, str) for name in documents)
