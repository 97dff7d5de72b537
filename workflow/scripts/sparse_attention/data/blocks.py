"""Blocks of tokens, each of one document, as a model reads them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file


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
        """Read `blocks.safetensors` and `blocks.json` beside it."""
        file = Path(path)
        info = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
        return cls(load_file(file), info)

    def split(self, name: str) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return tokens (blocks, length), lengths (blocks,) and each block's index into `document_ids(name)`."""
        return tuple(self.tensors[f"{name}.{part}"] for part in ("tokens", "lengths", "documents"))  # type: ignore[return-value]

    def document_ids(self, name: str) -> list[str]:
        """Return the ids of a split's documents that have a block, in source order."""
        return self.info["splits"][name]["documents"]
