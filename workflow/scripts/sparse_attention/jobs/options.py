"""Sections of the configuration as the jobs that they are for read them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Self


class Options:
    """A section of the configuration; a subclass is a frozen dataclass whose attributes are named as its keys."""

    @classmethod
    def of(cls, section: Mapping[str, Any]) -> Self:
        """Take the keys that the class names; a section may hold others, for other jobs."""
        names = [field.name for field in fields(cls) if field.name in section]  # type: ignore[arg-type]
        return cls(**{name: section[name] for name in names})
