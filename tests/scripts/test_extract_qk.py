"""The extraction script on the tiny model."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file

import extract_qk
from sparse_attention.qk.store import QKReader

OPTIONS = {
    "source": None, "rescale_queries": False, "causal": False, "validation_share": 0.1,
    "examples": {"train": 6, "validation": 3}, "batch_size": 4, "dtype": "float32",
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
        size, ids = int(lengths.sum()) - 2 * count, [f"{split}{number}" for number in range((count + 2) // 3)]
        splits[split] = {"blocks": count, "tokens": size, "characters": 5 * size, "documents": ids}
    info = {"length": 24, "special": special, "vocabulary": 90, "unigram_loss": 4.4, "splits": splits}
    save_file(tensors, folder / "blocks.safetensors")
    (folder / "blocks.json").write_text(json.dumps(info))
    return folder / "blocks.safetensors"


@pytest.fixture(scope="module")
def blocks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return ragged blocks."""
    return write_blocks(tmp_path_factory.mktemp("blocks"), train=9, validation=3)


def run(model: Path, blocks: Path, out: Path, attention: str = "entmax~1.5") -> tuple[QKReader, QKReader]:
    extract_qk.main(
        SimpleNamespace(
            input=SimpleNamespace(model=str(model), blocks=str(blocks), info=str(blocks.with_suffix(".json"))),
            output=SimpleNamespace(train=str(out / "train"), validation=str(out / "validation")),
            params=SimpleNamespace(options=OPTIONS, attention=attention, device="cpu", threads=1),
        )
    )
    return QKReader(out / "train"), QKReader(out / "validation")


def test_both_splits_are_written(tiny_inputs, blocks, tmp_path):
    train, validation = run(tiny_inputs / "model", blocks, tmp_path)
    assert train.info.documents == ("train0", "train1", "train2", "train0", "train1", "train2")
    assert train.info.query_lengths == (24, 21, 23, 23, 20, 22)
    assert validation.info.query_lengths == (24, 23, 22)
    assert not set(train.info.documents) & set(validation.info.documents)
    assert set(train.info.source) == {"model", "blocks"}
    assert train.example(1, 5).queries.shape == (2, 22, 16)


def test_equal_input_gives_equal_bytes(tiny_inputs, blocks, tmp_path):
    for name in ("first", "second"):
        run(tiny_inputs / "model", blocks, tmp_path / name)
    files = [path for path in sorted((tmp_path / "first").rglob("*")) if path.is_file()]
    assert len(files) == 6
    for path in files:
        assert path.read_bytes() == (tmp_path / "second" / path.relative_to(tmp_path / "first")).read_bytes()
