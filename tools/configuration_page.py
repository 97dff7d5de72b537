"""Writes the page of the site that lists every key of the configuration: default, what is allowed, what it means.

Defaults and meanings are those of config/config.yaml and its comments; what is allowed is what the schema says.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import yaml

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "workflow/scripts"))

from sparse_attention.settings.config import schema  # noqa: E402

NAMED_BY_USERS = ("corpora", "models", "code_corpora", "datasets")
COMMENT = re.compile(r"(?:^|\s)#\s?(.*)$")
HEAD = """# All keys of the configuration

Each key with its default, what is allowed, and what it means, as in [config/config.yaml](config/config.yaml).
[config/README.md](config/README.md) explains the sections at length.
"""
TABLE = ("", "| Key | Default | Allowed | Meaning |", "|---|---|---|---|")


class Key(NamedTuple):
    """A key: its path, its default as YAML, and its comment."""

    path: tuple[str, ...]
    default: str
    meaning: str


def page() -> str:
    """Return the page as Markdown; keys that are not in a section come first."""
    found = list(keys((ROOT / "config/config.yaml").read_text(encoding="utf-8")))
    sections = {key.path[0] for key in found if len(key.path) > 1}
    parts = [HEAD, "## General", *TABLE, *(row(key) for key in found if key.path[0] not in sections)]
    for section in dict.fromkeys(key.path[0] for key in found if key.path[0] in sections):
        parts += ["", f"## {section}", *TABLE, *(row(key) for key in found if key.path[0] == section)]
    return "\n".join(parts) + "\n"


def row(key: Key) -> str:
    """Return a row of a section's table."""
    name = ".".join(key.path[1:]) or key.path[0]
    default = f"`{key.default}`" if key.default else ""
    cells = (f"`{name}`", default, escaped(schema().allowed(key.path)), escaped(key.meaning))
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def escaped(text: str) -> str:
    """Return a text that Markdown shows as it is, but for code in backticks."""
    parts = text.split("`")
    parts[::2] = [re.sub(r"([<*_\[\]])", r"\\\1", part) for part in parts[::2]]
    return "`".join(parts)


def keys(text: str) -> Iterator[Key]:
    """Yield the keys of a configuration in its order; of entries that users name only the entry itself."""
    lines = text.splitlines()

    def below(node: yaml.MappingNode, path: tuple[str, ...]) -> Iterator[Key]:
        for name, value in node.value:
            inner = (*path, name.value)
            nested = isinstance(value, yaml.MappingNode) and not value.flow_style and value.value
            default = "" if nested else text[value.start_mark.index : value.end_mark.index].strip()
            if path[:1] and path[0] in NAMED_BY_USERS:
                yield Key(inner, "" if nested else default, comment(lines, name.start_mark.line))
                continue
            last = name if nested else value
            yield Key(inner, shortened(default), comment(lines, last.end_mark.line))
            if nested:
                yield from below(value, inner)

    yield from below(yaml.compose(text), ())


def comment(lines: list[str], number: int) -> str:
    """Return the comment at the end of a line, or those of the lines right above it."""
    if number < len(lines) and (found := COMMENT.search(without_texts(lines[number]))):
        return found[1].strip()
    above = []
    while number and lines[number - 1].lstrip().startswith("#"):
        number -= 1
        above.insert(0, lines[number].lstrip().removeprefix("#").strip())
    return " ".join(above)


def without_texts(line: str) -> str:
    """Return a line whose quoted texts have no signs of comments."""
    return re.sub(r"([\"'])(.*?)\1", lambda text: text[0].replace("#", "_"), line)


def shortened(default: str) -> str:
    """Return a default in one line, without its comments."""
    lines = (COMMENT.sub("", line).strip() for line in default.splitlines())
    text = " ".join(line for line in lines if line)
    return text if len(text) <= 80 else f"{text[:77]}…"


if __name__ == "__main__":
    print(page(), end="")
