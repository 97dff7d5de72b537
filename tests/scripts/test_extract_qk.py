"""The extraction script on the tiny model."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

import extract_qk
from sparse_attention.qk.store import QKReader
from token_blocks import write_blocks

OPTIONS = {
    "source": None, "rescale_queries": False, "causal": False, "validation_share": 0.1,
    "examples": {"train": 6, "validation": 3}, "batch_size": 4, "dtype": "float32",
}  # fmt: skip


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
