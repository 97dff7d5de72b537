"""Read the pages of the documentation that explain how to add something."""

from __future__ import annotations

import re
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


class Guide:
    """A page of the documentation.

    Attributes
    ----------
    text : str
        The content of the page.
    """

    def __init__(self, name: str) -> None:
        self.text = (DOCS / name).read_text(encoding="utf-8")

    def blocks(self) -> list[str]:
        """Return the indented blocks of the page, in order."""
        found = re.findall(r"\n\n((?: {4}.*\n|\n(?= {4}|\n {4}))+)", self.text)
        return [re.sub(r"^ {4}", "", block, flags=re.MULTILINE).strip("\n") + "\n" for block in found]
