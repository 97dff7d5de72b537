"""Options of a short training of the tiny model, and ragged blocks of random tokens for it."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

OPTIONS = {
    "source": None, "steps": 4, "batch_size": 4, "accumulation": 1, "learning_rate": 1e-3, "schedule": "linear",
    "warmup_steps": 1, "weight_decay": 0.01, "adam_epsilon": 1e-6, "max_grad_norm": 1.0, "mask_probability": 0.15,
    "anneal": {"start": None, "steps": 0}, "eval_steps": 2, "eval_blocks": 4, "eval_batch_size": 4, "save_steps": 2,
    "dropout": None, "bf16": False, "compile": False, "head": "identity",
}  # fmt: skip


def write_blocks(folder: Path, **counts: int) -> Path:
    """Write ragged blocks of random tokens of the tiny model, three of each document, and return their path."""
    generator = torch.Generator().manual_seed(0)
    special = {"pad": 0, "cls": 2, "sep": 3, "mask": 4}
    tensors, splits = {}, {}
    for split, count in counts.items():
        lengths = 24 - torch.arange(count) % 5
        places, tokens = torch.arange(24), torch.randint(5, 90, (count, 24), generator=generator)
        tokens[:, 0] = special["cls"]
        tokens[places == lengths[:, None] - 1] = special["sep"]
        tokens[places >= lengths[:, None]] = special["pad"]
        parts = {"tokens": tokens, "lengths": lengths, "documents": torch.arange(count) // 3}
        tensors |= {f"{split}.{name}": tensor.to(torch.int32) for name, tensor in parts.items()}
        size = int(lengths.sum()) - 2 * count
        ids = [f"{split}{number}" for number in range((count + 2) // 3)]
        splits[split] = {"blocks": count, "tokens": size, "characters": 5 * size, "documents": ids}
    info = {"length": 24, "special": special, "vocabulary": 90, "unigram_loss": 4.4, "splits": splits}
    save_file(tensors, folder / "blocks.safetensors")
    (folder / "blocks.json").write_text(json.dumps(info))
    return folder / "blocks.safetensors"
