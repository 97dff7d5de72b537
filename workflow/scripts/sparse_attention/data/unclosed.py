"""Finds opening marks of wikitext that are never closed, which make the parser of wikitext slow.

At such a mark the parser reads on to the end of the page, finds no closing mark, goes back, and treats the mark as
text. On a page with many of these marks its time grows with the square of their number.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

from mwparserfromhell.definitions import PARSER_BLACKLIST, SINGLE

BUDGET = 2_000_000  # characters that the parser may read again on one page, which takes a second or two
DEEPEST = 30  # nested marks that the parser can follow: each takes up to three of its 100 levels
GAP = "\x1f"  # white space, before which not even "<" is a mark; XML does not allow it in a page
TOKEN = re.compile(
    r"(?P<comment><!--)|(?P<table>^\s?\{\|)|(?P<table_end>^\s?\|\}(?!\}))|(?P<braces>\{\{+)|(?P<braces_end>\}\}+)"
    r"|(?P<link>\[\[)|(?P<link_end>\]\])|(?P<url>\[(?=[a-z+.-]*:|//))|(?P<url_end>\])|(?P<line>\n)"
    r"|</(?P<tag_end>[^\s<>/]+)|<(?P<tag>[^\s<>/!{}\[\]|'\"&=:#*;\\-][^\s<>/{}\[\]|]*)|(?P<bracket>/?>)",
    re.MULTILINE | re.IGNORECASE,
)
TAG_START = "<"
ENDLESS_HEADING = re.compile(r"^=(?:[^=\n]*=){2000}", re.MULTILINE)


@dataclass(frozen=True)
class Mark:
    """An opening mark: its kind, the positions where it starts and ends, and a tag's name."""

    kind: str
    start: int
    end: int
    name: str = ""


class Scan:
    """Reads a page once and pairs its opening and closing marks, the innermost first.

    Attributes
    ----------
    unclosed : dict
        Marks that are never closed, or that are nested too deeply for the parser, by the position where they start.
    reread : int
        About how many characters the parser would read again because of these marks.
    """

    def __init__(self, wikitext: str) -> None:
        self.text = wikitext
        self.unclosed: dict[int, Mark] = {}
        self.reread = 0
        self._open: list[Mark] = []
        self._kinds: Counter[str] = Counter()
        self._endless: set[str] = set()
        position = 0
        while match := TOKEN.search(wikitext, position):
            position = self._read(match)
        while self._open:
            self._give_up()

    def _read(self, match: re.Match[str]) -> int:
        """Process one token and return the position where reading goes on."""
        kind, (start, end) = str(match.lastgroup), match.span()
        if kind == "comment":
            return self._skip(Mark(kind, start, start + 1), "-->", end)
        if kind == "tag":
            self._push(Mark(TAG_START, start, start + 1, match[kind].lower()))
        elif kind == "bracket":
            return self._bracket(match)
        elif kind == "braces":
            for first in range(start, end - 1, 2):
                self._push(Mark(kind, first, end if first + 3 >= end else first + 2))
        elif kind == "braces_end":
            for _ in range((end - start) // 2):
                self._close("braces")
        elif kind == "line":
            while self._open and self._open[-1].kind == "url":
                self._give_up(end)
        elif kind == "link_end":
            self._close("url" if self._open and self._open[-1].kind == "url" else "link")
        elif kind == "tag_end":
            self._close(f"<{match[kind].lower()}>")
        elif kind.endswith("_end"):
            self._close(kind.removesuffix("_end"))
        else:
            self._push(Mark(kind, end - 2 if kind == "table" else start, end))
        return end

    def _bracket(self, match: re.Match[str]) -> int:
        """Process the `>` that ends an opening tag; the tag stays open unless it has no content."""
        end = match.end()
        if not self._open or self._open[-1].kind != TAG_START:
            return end
        tag = self._pop()
        if match[0] == "/>" or tag.name in SINGLE:
            return end
        if tag.name in PARSER_BLACKLIST:
            return self._skip(tag, f"</{tag.name}", end)
        self._push(Mark(f"<{tag.name}>", tag.start, tag.end))
        return end

    def _skip(self, mark: Mark, closing: str, inside: int) -> int:
        """Return the end of text in which marks do not count, such as a comment; without one the mark is unclosed."""
        found = None
        if closing not in self._endless:
            found = re.compile(re.escape(closing), re.IGNORECASE).search(self.text, inside)
        if found:
            return found.end()
        self._endless.add(closing)
        self._count(mark, len(self.text))
        return inside

    def _push(self, mark: Mark) -> None:
        if len(self._open) >= DEEPEST:
            self._count(mark, len(self.text))
        self._open.append(mark)
        self._kinds[mark.kind] += 1

    def _pop(self) -> Mark:
        mark = self._open.pop()
        self._kinds[mark.kind] -= 1
        return mark

    def _close(self, kind: str) -> None:
        """Close the innermost mark of a kind; the open marks inside it are never closed."""
        if self._kinds[kind]:
            while self._open[-1].kind != kind:
                self._give_up()
            self._pop()

    def _give_up(self, end: int | None = None) -> None:
        self._count(self._pop(), len(self.text) if end is None else end)

    def _count(self, mark: Mark, end: int) -> None:
        if mark.start not in self.unclosed:
            self.unclosed[mark.start] = mark
            self.reread += end - mark.start


def mend(wikitext: str, budget: int = BUDGET) -> str:
    """Return a page on which unclosed marks can no longer make the parser slow or crash it.

    A page that costs the parser less than `budget` comes back unchanged. Otherwise each character of an unclosed mark
    gets a `GAP` behind it, so that the parser sees text at once; the caller removes the gaps from the rendered text. A
    line that starts like a heading and has thousands of equals signs always gets a gap.

    Parameters
    ----------
    wikitext : str
        The page.
    budget : int
        Characters that the parser may read again.
    """
    # such a line overflows the parser's stack, which ends the process
    wikitext = ENDLESS_HEADING.sub(lambda line: GAP + line[0], wikitext)
    # most pages are too small to need a scan
    if sum(map(wikitext.count, ("{{", "{|", "[", "<"))) * len(wikitext) <= budget:
        return wikitext
    scan = Scan(wikitext)
    if scan.reread <= budget:
        return wikitext
    pieces, last = [], 0
    for start, mark in sorted(scan.unclosed.items()):
        pieces += [wikitext[last:start], *(char + GAP for char in wikitext[start : mark.end])]
        last = mark.end
    return "".join([*pieces, wikitext[last:]])
