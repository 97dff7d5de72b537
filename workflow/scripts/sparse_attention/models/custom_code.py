"""Refuse model folders that only Python code of their own defines, which is never run; works without transformers."""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import re
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from sparse_attention.errors import InputError
from sparse_attention.files.plain import read_json
from sparse_attention.models.folders import CONFIG, OBJECT, TOKENIZER_CONFIG, read_config
from sparse_attention.models.limits import LTP

FAMILY_FILES = ("auto_mappings.py", "configuration_auto.py")
"""Files of transformers in which each family stands beside its class."""


def custom_code(config: dict[str, Any]) -> str | None:
    """Return the names of the Python classes in `auto_map`, separated by commas; None when there is no such key."""
    named = config.get("auto_map")
    if not named:
        return None
    names = named.values() if isinstance(named, dict) else named if isinstance(named, list) else [named]
    flat = [part for name in names for part in (name if isinstance(name, list) else [name])]
    return ", ".join(sorted({str(part) for part in flat if part is not None}))


def check_model_code(config: dict[str, Any], path: Path, families: Collection[str]) -> str | None:
    """Return the names of the custom code in a `config.json`, None for none; `families` can be read without it.

    Raises
    ------
    InputError
        When only this code defines the model.
    """
    code, family = custom_code(config), config.get("model_type")
    if code and (not isinstance(family, str) or family not in families):
        text = f"auto_map names custom code ({code}), which is never run"
        allowed = f"a model_type that transformers {_version()} knows, not {family!r}"
        raise InputError(f"{path}: {text}; allowed: {allowed}")
    return code


def check_tokenizer_code(settings: dict[str, Any], path: Path, is_known: Callable[[str], bool]) -> str | None:
    """Return the names of the custom code in a `tokenizer_config.json`, None for none.

    Raises
    ------
    InputError
        When only this code defines the tokenizer: `tokenizer_class` is missing, or is not known.
    """
    code, named = custom_code(settings), settings.get("tokenizer_class")
    if code and (not isinstance(named, str) or not is_known(named)):
        text = f"auto_map names custom code ({code}), which is never run"
        raise InputError(f"{path}: {text}; allowed: a tokenizer_class of transformers {_version()}")
    return code


def refuse_custom_code(folder: Path) -> None:
    """Refuse a model folder that needs custom code before any job, without importing transformers.

    Nothing is refused where transformers is not installed, nor for a class of tokenizers that it may not know; the job
    that loads the folder does it then.

    Raises
    ------
    InputError
        When only code in the folder defines its model or its tokenizer, or a file is damaged.
    """
    families = known_families()
    if not families:
        return
    check_model_code(read_config(folder), folder / CONFIG, {*families, LTP})
    path = folder / TOKENIZER_CONFIG
    if path.is_file():
        check_tokenizer_code(read_json(path, OBJECT), path, lambda _: True)


@functools.cache
def known_families() -> frozenset[str]:
    """Return the families that transformers knows, read from its source; empty where it is not installed."""
    package = importlib.util.find_spec("transformers")
    if package is None or package.origin is None:
        return frozenset()
    files = [Path(package.origin).parent / "models" / "auto" / name for name in FAMILY_FILES]
    texts = [file.read_text(encoding="utf-8") for file in files if file.is_file()]
    return frozenset(name for text in texts for name in re.findall(r'"([\w.-]+)"[,:] ?"\w+Config"', text))


def _version() -> str:
    return importlib.metadata.version("transformers")
