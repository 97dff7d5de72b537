"""Sidecars: JSON files beside the shards of a folder that describe the format and the content of the shards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sparse_attention.errors import InputError
from sparse_attention.files.plain import read_json, write_json


@dataclass(frozen=True)
class Sidecar:
    """A kind of sidecar.

    Attributes
    ----------
    name : str
        Name of the file, in the folder of the shards.
    format, version : str, int
        The values that the file must have under these keys.
    what : str
        What the shards hold, for errors: `queries and keys`.
    """

    name: str
    format: str
    version: int
    what: str

    def write(self, folder: Path, content: Mapping[str, Any]) -> None:
        """Write `content` after the keys `format` and `version`."""
        write_json(folder / self.name, {"format": self.format, "version": self.version, **content})

    def read(self, folder: Path) -> dict[str, Any]:
        """Return the content that `write` wrote, without `format` and `version`.

        Raises
        ------
        InputError
            When there is no such file, it is not a JSON object, or it has another format or version.
        """
        path = folder / self.name
        content = read_json(path, f"a folder of {self.what}, which {self.name} describes")
        if (content.pop("format", None), content.pop("version", None)) != (self.format, self.version):
            expected = f"format {self.format!r}, version {self.version}"
            raise InputError(f"{path}: not a sidecar of {self.what}; allowed: {expected}")
        return content
