"""Whole wheels of the Python package index, which are read as archives; nothing is installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from sparse_attention.data.sources import wheel
from sparse_attention.data.sources.common import SourceError, Wanted, rename
from sparse_attention.errors import InputError


def fetch(source: dict[str, Any], wanted: list[Wanted], folder: Path) -> None:
    """Download each wheel to `folder`; its file name says the package, version and platform."""
    for item in wanted:
        wheel.download(_package(source, item), folder)
        if not (folder / item.path).is_file():
            raise SourceError(f"pip downloaded another wheel than {item.path}")
        rename(folder, item)


def by_hand(source: dict[str, Any], item: Wanted) -> str:
    """Return how to get the file by hand."""
    return f"`{wheel.command(_package(source, item))}`"


def _package(source: dict[str, Any], item: Wanted) -> dict[str, Any]:
    try:
        name, version, _, tags = parse_wheel_filename(item.path)
    except InvalidWheelFilename:
        raise InputError(
            f"{item.path}: is not the name of a wheel; allowed: name-version-python-abi-platform.whl"
        ) from None
    platform = sorted(tag.platform for tag in tags)[0]
    return {"package": name, "version": str(version), "platform": platform, "python": source["python"]}
