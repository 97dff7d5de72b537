"""What several script tests start from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from sparse_attention.qk.gold import GoldWriter, gold_of
from sparse_attention.qk.store import QKInfo, QKReader, QKWriter


@pytest.fixture(scope="session")
def small_stores(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with `qk` and `gold` of both splits: 2 layers, 3 heads of 6, ragged; do not write there."""
    folder, generator = tmp_path_factory.mktemp("stores"), torch.Generator().manual_seed(0)
    for split, lengths in (("train", (12, 7, 9, 12)), ("validation", (8, 11))):
        info = QKInfo(2, 3, 6, lengths, lengths, tuple(f"{split} {number}" for number in range(len(lengths))))
        with QKWriter(folder / "qk" / split, info) as writer:
            for layer in range(info.layers):
                for index, n in enumerate(lengths):
                    queries, keys = (2 * torch.randn(info.heads, n, 6, generator=generator) for _ in range(2))
                    writer.write(layer, index, queries, keys)
        reader = QKReader(folder / "qk" / split)
        with GoldWriter(folder / "gold" / split, info) as writer:
            for layer in range(info.layers):
                for example in reader.examples(layer):
                    writer.write(layer, example, gold_of(example, 1.5))
    return folder


@pytest.fixture(params=["model", "store"])
def shaped(request: pytest.FixtureRequest, small_stores: Path, tmp_path: Path) -> Path:
    """Return a folder with 2 layers and 3 heads of 6: that of a language model, or a store of queries and keys."""
    if request.param == "store":
        return small_stores / "qk" / "train"
    config = {"num_hidden_layers": 2, "num_attention_heads": 3, "hidden_size": 18}
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text(json.dumps(config))
    return tmp_path / "model"
