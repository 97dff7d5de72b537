"""Marks of wikitext that nothing closes, and how a page with very many of them is kept from stopping the parser.

The parser takes an opening mark at its word, reads on to the end of the page, finds no closing mark, goes back, and
takes the mark as text. With many such marks the time grows with the square of their number.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

from mwparserfromhell.definitions import PARSER_BLACKLIST, SINGLE

BUDGET = 2_000_000  # characters of a page that may be read again: a second or two
DEEPEST = 30  # marks inside each other that the parser surely follows: each is up to three of its 100 levels
GAP = "\x1f"  # white space, so that even "<" is none before it; XML allows it in no page
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
    """An opening mark: what would close it, and the characters that make it a mark."""

    kind: str
    start: int
    end: int
    name: str = ""


class Scan:
    """Reads a page once and pairs its marks, the innermost first.

    Attributes
    ----------
    unclosed : dict
        By where it starts, each mark that nothing closes or that lies too deep inside others to be followed.
    reread : int
        About how many characters the parser reads in vain for them.
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
        """Take in one token and return where to read on."""
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
        """End the start of a tag: what follows is its inside, unless it has none."""
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
        """Return where the text ends in which there are no marks; when it does not end, the mark is none."""
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
        """Close the innermost mark of a kind; those inside it stay open for ever."""
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
    """Return a page as it is; with very many unclosed marks, as the parser would read it had it the time.

    Unclosed marks get a `GAP`, so that the parser sees text at once. Whoever shows the text takes the gaps out. A line
    that starts as a heading and goes on with thousands of equals signs is text, too.

    Parameters
    ----------
    wikitext : str
    budget : int
        Characters that the parser may read again before the page is changed.
    """
    # the parser's own stack overflows there, which ends the process
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
