"""Typed sections of the configuration, for the jobs that read them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Self


class Options:
    """A section of the configuration; a subclass is a frozen dataclass with attributes named like its keys."""

    @classmethod
    def of(cls, section: Mapping[str, Any]) -> Self:
        """Return the options in a section; keys that the class does not name are ignored."""
        names = [field.name for field in fields(cls) if field.name in section]  # type: ignore[arg-type]
        return cls(**{name: section[name] for name in names})
