"""What readers of text and readers of labelled code have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, Self

from sparse_attention.errors import InputError
from sparse_attention.jobs.options import Options
from sparse_attention.jobs.plugins import Plugin, find_plugins


@dataclass(frozen=True)
class Reader(Options):
    """Reads files of one format, with the options that its corpus's entry in the configuration gives.

    A subclass is a frozen dataclass. It has an attribute with a default value for each key of `options`.

    Attributes
    ----------
    name : str
        The `format` in the configuration.
    options : dict
        JSON schema of each key that an entry may have for this reader.
    suffixes : tuple of str
        Suffixes of the files that it reads, such as ``.txt``, in lower case. The suffix of a compression does not
        count: that of ``a.txt.gz`` is ``.txt``.
    """

    name: ClassVar[str]
    options: ClassVar[dict[str, Any]] = {}
    suffixes: ClassVar[tuple[str, ...]]

    @classmethod
    def of(cls, section: Mapping[str, Any]) -> Self:
        """Return a reader with the options in an entry, whose other keys are ignored.

        Raises
        ------
        InputError
            When the class lacks an attribute for one of its options.
        """
        missing = sorted(set(cls.options) - {field.name for field in fields(cls)})
        if missing:
            raise InputError(
                f"{cls.__module__}: {cls.__name__} has no attribute for the option {missing[0]}; "
                "allowed: a dataclass with an attribute of that name and a type"
            )
        return super().of(section)


def find_readers(folder: Path) -> dict[str, Plugin]:
    """Return the readers in a folder by name, in alphabetical order, without importing them.

    Raises
    ------
    InputError
        When a file is not valid Python, `name` or `options` of a class is not a literal, or two readers share a name.
    """
    return find_plugins(folder, ["options"], ["base", "registry"])
