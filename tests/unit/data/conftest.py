"""Local servers in place of the internet, and a wheel and a model small enough for tests."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from file_server import FileServer
from hub_server import HubServer, empty_hub

__all__ = ["empty_hub"]


@pytest.fixture
def server() -> Iterator[FileServer]:
    """Return a server without files."""
    state = FileServer()
    with state.running():
        yield state


TINY = {"type": "hub", "repo": "org/tiny", "revision": "main"}


@pytest.fixture
def hub(empty_hub: HubServer) -> HubServer:
    """Return a hub with the model `org/tiny`: a small file under git and a large one, so to speak, under LFS."""
    files = {"config.json": b'{"model_type": "bert"}', "model.safetensors": bytes(range(256)) * 40, "README.md": b"x"}
    empty_hub.publish(TINY, files)
    return empty_hub


@pytest.fixture
def package_index(tmp_path, monkeypatch) -> Path:
    """A folder that pip takes for the whole package index; it holds the wheel of toy-data 1.0."""
    folder = tmp_path / "index"
    folder.mkdir()
    with zipfile.ZipFile(folder / "toy_data-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("toy_data/inner/text.txt", "hello")
        wheel.writestr("toy_data/inner/config.json", "{}")
        wheel.writestr("toy_data-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: toy-data\nVersion: 1.0\n")
        wheel.writestr("toy_data-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("toy_data-1.0.dist-info/RECORD", "")
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


WORDS = [f"word{number}" for number in range(40)]


@pytest.fixture
def model_folder(tmp_path) -> Path:
    """A model folder with a word-level tokenizer of BERT's special tokens, for blocks of up to 64 tokens."""
    return make_model_folder(tmp_path / "model")


def make_model_folder(folder: Path) -> Path:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    folder.mkdir()
    vocabulary = {word: number for number, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", None, [("[CLS]", 2), ("[SEP]", 3)])
    tokenizer.save(str(folder / "tokenizer.json"))
    special = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")}
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 64, **special}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    (folder / "config.json").write_text(json.dumps({"model_type": "bert", "max_position_embeddings": 80}))
    return folder
