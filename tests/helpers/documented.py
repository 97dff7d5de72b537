"""The commands that the documents show."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / name for name in ("README.md", "config/README.md", "results/README.md")]
DOCUMENTS += sorted((ROOT / "docs").glob("*.md"))
PROGRAMS = (
    r"(?:[A-Z_]+=\S+ )*(?:\.venv/bin/)?"
    r"(?:make|snakemake|python|pip|pytest|conda|docker|apptainer|apt-get|squeue|export|awk|rm)"
)
"""What a command begins with; a program that a page names alone, as in `git`, is no command, but `make` is one."""


def commands(program: str = PROGRAMS) -> list[tuple[str, str]]:
    """Return the command lines of a program that documents show, each with the document's name.

    They stand in indented blocks, or within sentences as code. What a reader fills in is `x`.
    """
    bare = "|make" if re.fullmatch(program, "make") else ""
    found = []
    for document in [*DOCUMENTS, ROOT / "CONTRIBUTING.md"]:
        text = document.read_text(encoding="utf-8")
        shown = re.findall(rf"^ {{4}}({program} .*)$|`({program} [^`]*{bare})`", text, re.MULTILINE)
        lines = (re.sub(r"\s+", " ", re.split(r"\s#", "".join(parts))[0]).strip() for parts in shown)
        found += [(document.name, line.replace("…", "x")) for line in lines]
    return found


def distinct_commands() -> Iterator[str]:
    """Yield each command line once, in the order of the documents."""
    yield from dict.fromkeys(line for _, line in commands())
