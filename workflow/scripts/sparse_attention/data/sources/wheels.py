"""Whole wheels of the Python index, to be read as archives; nothing is installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from sparse_attention.data.sources import wheel
from sparse_attention.data.sources.common import SourceError, Wanted, rename
from sparse_attention.errors import InputError


def fetch(source: dict[str, Any], wanted: list[Wanted], folder: Path) -> None:
    """Download each wheel, whose file name says package, version and platform, to `folder`."""
    for item in wanted:
        wheel.download(_package(source, item), folder)
        if not (folder / item.path).is_file():
            raise SourceError(f"pip brought another wheel than {item.path}")
        rename(folder, item)


def by_hand(source: dict[str, Any], item: Wanted) -> str:
    """Say how a user gets the file without us."""
    return f"`{wheel.command(_package(source, item))}`"


def _package(source: dict[str, Any], item: Wanted) -> dict[str, Any]:
    try:
        name, version, _, tags = parse_wheel_filename(item.path)
    except InvalidWheelFilename:
        raise InputError(
            f"{item.path}: not the name of a wheel; allowed: name-version-python-abi-platform.whl"
        ) from None
    platform = sorted(tag.platform for tag in tags)[0]
    return {"package": name, "version": str(version), "platform": platform, "python": source["python"]}
