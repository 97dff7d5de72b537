"""Blocks of tokens, each of one document, as a model reads them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from sparse_attention.errors import InputError
from sparse_attention.torch_files import read_safetensors

PARTS = ("tokens", "lengths", "documents")
KEYS = ("length", "special", "vocabulary", "unigram_loss", "splits")


@dataclass(frozen=True)
class Blocks:
    """Tokenised blocks of a corpus.

    Attributes
    ----------
    tensors : dict
        `{split}.tokens` int32 (blocks, length) padded with the pad id, `{split}.lengths` and `{split}.documents`
        int32 (blocks,).
    info : dict
        The sidecar: `length`, `special` ids, `vocabulary` size, `splits` (blocks, tokens without special ones,
        document ids, characters that the tokens cover), `unigram_loss` in nats per token.
    """

    tensors: dict[str, torch.Tensor]
    info: dict[str, Any]

    @classmethod
    def load(cls, path: Path | str) -> Blocks:
        """Read `blocks.safetensors` and `blocks.json` beside it; `InputError` when they are something else."""
        file = Path(path)
        info = _read_info(file.with_suffix(".json"))
        tensors = read_safetensors(file)
        wanted = [f"{split}.{part}" for split in info["splits"] for part in PARTS]
        if missing := [name for name in wanted if name not in tensors]:
            raise InputError(f"{file}: lacks {', '.join(missing)}; allowed: the blocks that tokenise writes")
        return cls(tensors, info)

    def split(self, name: str) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return tokens (blocks, length), lengths (blocks,) and each block's index into `document_ids(name)`."""
        return tuple(self.tensors[f"{name}.{part}"] for part in PARTS)  # type: ignore[return-value]

    def document_ids(self, name: str) -> list[str]:
        """Return the ids of a split's documents that have a block, in source order."""
        return self.info["splits"][name]["documents"]


def _read_info(path: Path) -> dict[str, Any]:
    allowed = f"allowed: a JSON object with {', '.join(KEYS)}, as tokenise writes"
    try:
        info = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({error}); {allowed}") from None
    if not isinstance(info, dict) or not isinstance(info.get("splits"), dict):
        raise InputError(f"{path}: does not describe the splits of blocks; {allowed}")
    if missing := [name for name in KEYS if name not in info]:
        raise InputError(f"{path}: lacks {', '.join(missing)}; {allowed}")
    return info
