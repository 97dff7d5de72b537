"""What lies in a model folder, read without torch or transformers and refused before a library opens it."""

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
"""In the order in which transformers looks for them."""
KERNELS = ("attn_implementation", "_attn_implementation", "_attn_implementation_internal")


def read_config(folder: Path | str) -> dict[str, Any]:
    """Read the `config.json` of a model folder.

    Raises
    ------
    InputError
        When there is none, it is no JSON object, or it names kernels of the hub, which are foreign code.
    """
    path = Path(folder) / CONFIG
    if not path.is_file():
        raise InputError(f"{folder}: no {CONFIG}; allowed: a Hugging Face model folder")
    config = read_json(path, OBJECT)
    for key in KERNELS:
        if "/" in str(config.get(key, "")):
            text = f"{key}: {config[key]} is code from the hub, which is never run"
            raise InputError(f"{path}: {text}; allowed: the library's own attention, or no such key")
    return config


def own_code(config: dict[str, Any]) -> str | None:
    """Return the Python that `auto_map` names, as text; None when there is no such key."""
    named = config.get("auto_map")
    if not named:
        return None
    names = named.values() if isinstance(named, dict) else named if isinstance(named, list) else [named]
    flat = [part for name in names for part in (name if isinstance(name, list) else [name])]
    return ", ".join(sorted({str(part) for part in flat if part is not None}))


def check_tokenizer_files(folder: Path | str) -> dict[str, Any]:
    """Refuse the files of a tokenizer that are pointers or no JSON; return `tokenizer_config.json`, {} without one."""
    for name in (*TOKENIZER_JSON, *TOKENIZER_OTHERS):
        path = Path(folder) / name
        if path.is_file():
            read_json(path, OBJECT) if name in TOKENIZER_JSON else require_file(path)
    settings = Path(folder) / TOKENIZER_CONFIG
    return read_json(settings, OBJECT) if settings.is_file() else {}


def weight_files(folder: Path | str) -> list[Path]:
    """Return the files that hold a folder's weights, as transformers chooses them.

    Raises
    ------
    InputError
        When there are none, the index of the shards is damaged, a file is missing, or one is a Git LFS pointer.
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
    """Raise `InputError` when the weights of a folder, as far as there are any, are Git LFS pointers."""
    if any((Path(folder) / f"{name}{end}").is_file() for name in WEIGHTS for end in ("", INDEX)):
        weight_files(folder)


def _shards(index: Path) -> list[Path]:
    places = read_json(index, OBJECT).get("weight_map")
    if not isinstance(places, dict) or not places or not all(isinstance(place, str) for place in places.values()):
        raise InputError(f"{index}: has no weight_map; allowed: an object with the file of each weight")
    files = [index.parent / name for name in sorted(set(places.values()))]
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        raise InputError(f"{index}: names {len(missing)} files that are missing, such as {missing[0]}")
    return files
