"""Read and check the files of a model folder without torch or transformers, before a library opens them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sparse_attention.errors import InputError
from sparse_attention.files.plain import read_json, require_file

CONFIG, TOKENIZER_CONFIG = "config.json", "tokenizer_config.json"
TOKENIZER_JSON = (TOKENIZER_CONFIG, "tokenizer.json", "special_tokens_map.json", "added_tokens.json", "vocab.json")
TOKENIZER_OTHERS = (
    "vocab.txt",
    "merges.txt",
    "sentencepiece.bpe.model",
    "spm.model",
    "spiece.model",
    "tokenizer.model",
)
OBJECT = "a JSON object"
INDEX = ".index.json"
WEIGHTS = ("model.safetensors", "pytorch_model.bin")
"""File names of weights, in the order in which transformers tries them."""
KERNEL_KEYS = ("attn_implementation", "_attn_implementation", "_attn_implementation_internal")
"""Keys of `config.json` that name an attention kernel."""


def read_config(folder: Path | str) -> dict[str, Any]:
    """Read the `config.json` of a model folder.

    Raises
    ------
    InputError
        When the file is missing or holds no JSON object, or names a kernel on the hub, which is foreign code.
    """
    path = Path(folder) / CONFIG
    if not path.is_file():
        raise InputError(f"{folder}: there is no {CONFIG}; allowed: a Hugging Face model folder")
    config = read_json(path, OBJECT)
    for key in KERNEL_KEYS:
        if "/" in str(config.get(key, "")):
            text = f"{key}: {config[key]} is code from the hub, which is never run"
            raise InputError(f"{path}: {text}; allowed: the library's own attention, or no such key")
    return config


def check_tokenizer_files(folder: Path | str) -> dict[str, Any]:
    """Return the content of `tokenizer_config.json`, `{}` when there is none, after checking the tokenizer's files.

    Raises
    ------
    InputError
        When a tokenizer file is a Git LFS pointer, or one that should hold a JSON object does not.
    """
    for name in (*TOKENIZER_JSON, *TOKENIZER_OTHERS):
        path = Path(folder) / name
        if path.is_file():
            read_json(path, OBJECT) if name in TOKENIZER_JSON else require_file(path)
    settings = Path(folder) / TOKENIZER_CONFIG
    return read_json(settings, OBJECT) if settings.is_file() else {}


def weight_files(folder: Path | str) -> list[Path]:
    """Return the weight files of a folder, chosen as transformers chooses them.

    Raises
    ------
    InputError
        When there are none, the index of the shards is damaged, a shard is missing, or a file is a Git LFS pointer.
    """
    folder = Path(folder)
    for name in WEIGHTS:
        if (folder / name).is_file():
            files = [folder / name]
        elif (index := folder / f"{name}{INDEX}").is_file():
            files = _shards(index)
        else:
            continue
        for file in files:
            require_file(file)
        return files
    raise InputError(f"{folder}: has no weights; allowed: {' or '.join(WEIGHTS)}, in one file or in shards")


def refuse_weight_pointers(folder: Path | str) -> None:
    """Raise `InputError` when a weight file is a Git LFS pointer; a folder without weights passes."""
    if any((Path(folder) / f"{name}{end}").is_file() for name in WEIGHTS for end in ("", INDEX)):
        weight_files(folder)


def _shards(index: Path) -> list[Path]:
    """Return the files that the index of a sharded checkpoint names."""
    file_of = read_json(index, OBJECT).get("weight_map")
    if not isinstance(file_of, dict) or not file_of or not all(isinstance(name, str) for name in file_of.values()):
        raise InputError(f"{index}: has no weight_map; allowed: an object that maps each weight to its file")
    files = [index.parent / name for name in sorted(set(file_of.values()))]
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        text = f"names {len(missing)} files that are missing, such as {missing[0]}"
        raise InputError(f"{index}: {text}; allowed: files that are in the folder")
    return files
