"""Sidecars: the JSON beside the shards of a folder, which says in what format they are and what they hold."""

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
        Of the file, in the folder of the shards.
    format, version : str, int
        What the file must say of itself.
    what : str
        What the shards hold, for errors: `queries and keys`.
    """

    name: str
    format: str
    version: int
    what: str

    def write(self, folder: Path, content: Mapping[str, Any]) -> None:
        """Write `content` behind format and version."""
        write_json(folder / self.name, {"format": self.format, "version": self.version, **content})

    def read(self, folder: Path) -> dict[str, Any]:
        """Return what `write` was given.

        Raises
        ------
        InputError
            When there is no such file, it is no JSON object, or of another format or version.
        """
        path = folder / self.name
        content = read_json(path, f"a folder of {self.what}, with {self.name} and layer~N.safetensors")
        if (content.pop("format", None), content.pop("version", None)) != (self.format, self.version):
            expected = f"format {self.format!r}, version {self.version}"
            raise InputError(f"{path}: not a sidecar of {self.what}; expected {expected}")
        return content
