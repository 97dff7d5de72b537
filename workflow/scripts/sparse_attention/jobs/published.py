"""Finds what is published, figures and tables, by what their classes declare; nothing is imported for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import TypeVar

from sparse_attention.errors import InputError
from sparse_attention.jobs.plugins import Plugin, find_plugins


@dataclass(frozen=True, kw_only=True)
class Published:
    """What the workflow must know of a figure or a table before any job runs.

    Attributes
    ----------
    plugin : Plugin
        Where its class is.
    name : str
        The stem of its files.
    title, caption : str
        What readers see.
    section : str
        Its section of results/report.html.
    category : str
        Its category in Snakemake's own report.
    order : int
        Its place in its section: lower numbers come first.
    """

    plugin: Plugin
    name: str
    title: str
    caption: str
    section: str
    category: str
    order: int

    @property
    def module(self) -> str:
        """Dotted name of the module that defines it, for the digest of the code that a job runs."""
        return self.plugin.module


Kind = TypeVar("Kind", bound=Published)


def literals_of(kind: type[Published]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the attributes that a class must declare, and those that it may declare."""
    declared = [field for field in fields(kind) if field.name != "plugin"]
    required = tuple(field.name for field in declared if field.default is MISSING)
    return required, tuple(field.name for field in declared if field.name not in required)


def find_published(folder: Path, kind: type[Kind], word: str, sections: Sequence[str]) -> dict[str, Kind]:
    """Return every figure or table in `folder` by name, in the order of the report.

    Parameters
    ----------
    folder : Path
        The folder, as `find_plugins` takes it.
    kind : type
        Its fields without a default must be declared and not be empty.
    word : str
        "figure" or "table", for messages.
    sections : sequence of str
        The sections of the report, in its order.

    Raises
    ------
    InputError
        When a file does not parse, a class does not declare what it must, or it names a section that there is not.
    """
    required, optional = literals_of(kind)
    found = []
    for name, plugin in find_plugins(folder, (*required, *optional)).items():
        place = f"{plugin.module}.{plugin.class_name}"
        missing = [key for key in required if plugin.declared.get(key) in (None, "", ())]
        if missing:
            raise InputError(f"{place}: the {word} {name!r} lacks {', '.join(missing)}")
        declared = plugin.declared | {"caption": " ".join(plugin.declared["caption"].split())}
        if declared["section"] not in sections:
            raise InputError(f"{place}.section: {declared['section']!r}; allowed: {', '.join(sections)}")
        found.append(kind(plugin=plugin, **declared))
    return {info.name: info for info in sorted(found, key=lambda info: (sections.index(info.section), info.order))}


def chosen(found: Mapping[str, Published], name: str, word: str) -> Plugin:
    """Return where the figure or table `name` is defined.

    Raises
    ------
    InputError
        When there is none of that name.
    """
    if name not in found:
        raise InputError(f"{name}: no such {word}; allowed: {', '.join(found)}")
    return found[name].plugin
