"""Turns wikitext into clean prose by way of mwparserfromhell's syntax tree."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable

import mwparserfromhell
from mwparserfromhell.nodes import ExternalLink, Heading, HTMLEntity, Node, Tag, Template, Text, Wikilink
from mwparserfromhell.wikicode import Wikicode

from sparse_attention.data.templates import Call, show
from sparse_attention.data.tex import plain_formula
from sparse_attention.data.unclosed import GAP, mend

DROPPED_TAGS = frozenset(
    ("ref", "references", "gallery", "table", "timeline", "imagemap", "score", "hiero", "syntaxhighlight", "source",
     "pre", "section", "templatestyles", "indicator", "categorytree", "inputbox", "mapframe", "maplink", "graph",
     "includeonly", "s", "del", "strike", "ce", "chem", "audio", "video", "style", "script")
)  # fmt: skip
DROPPED_SECTIONS = frozenset(
    ("see also", "references", "external links", "further reading", "notes", "footnotes", "sources", "citations",
     "works cited", "gallery", "image gallery", "literature", "filmography", "discography", "publications", "endnotes",
     "explanatory notes", "sources and further reading")
)  # fmt: skip
DROPPED_SECTION_WORDS = (
    "bibliograph", "references", "further reading", "external links", "primary sources", "secondary sources"
)  # fmt: skip
DROPPED_LINKS = frozenset(("file", "image", "category", "media"))
# marks that the renderer puts into its text; XML does not allow these characters in a page
ITEM, INDENT, DISPLAY = "\x02", "\x04", "\x03"
MIN_ITEM = 60
MIN_LABEL = 40


class Renderer:
    """Renders the wikitext of one page.

    Parameters
    ----------
    date : str
        The revision's date, YYYY-MM-DD; templates such as {{age}} count time up to it.
    dropped_links : collection of str
        Namespaces, in lower case, whose links are left out, in addition to those in `DROPPED_LINKS`.

    Attributes
    ----------
    mended : bool
        Whether the last page had so many unclosed marks that they were turned into text before parsing.
    """

    def __init__(self, date: str = "", dropped_links: Collection[str] = ()) -> None:
        self.date = date
        self.dropped_links = DROPPED_LINKS | set(dropped_links)
        self.mended = False

    def render(self, wikitext: str) -> str:
        """Return the prose of a page, one paragraph per line, without headings, tables, references, galleries, files.

        Sections without prose (references, external links …) are left out, and so are list items of less than
        `MIN_ITEM` characters and other lines of less than `MIN_LABEL` characters that do not end like a sentence. A
        simple formula inside a sentence becomes plain text, any other one the word "formula"; formulas on a line of
        their own are left out.
        """
        mended = mend(wikitext)
        self.mended = mended != wikitext
        return tidy(self._nodes(_without_dropped_sections(mwparserfromhell.parse(mended))).replace(GAP, ""))

    def _nodes(self, nodes: Iterable[Node]) -> str:
        return "".join(self._node(node) for node in nodes)

    def _code(self, code: Wikicode | None) -> str:
        return self._nodes(code.nodes) if code is not None else ""

    def _node(self, node: Node) -> str:
        if isinstance(node, Text):
            return str(node)
        if isinstance(node, Wikilink):
            return self._link(node)
        if isinstance(node, Template):
            return self._template(node)
        if isinstance(node, Tag):
            return self._tag(node)
        if isinstance(node, HTMLEntity):
            return node.normalize() or ""
        if isinstance(node, ExternalLink):
            return self._code(node.title) if node.brackets else ""
        return "\n\n" if isinstance(node, Heading) else ""

    def _link(self, link: Wikilink) -> str:
        title = str(link.title).strip()
        prefix, colon, _ = title.partition(":")
        if colon:
            space = prefix.strip().lower()
            language = space.isalpha() and space.isascii() and len(space) in (2, 3) and link.text is None
            if space in self.dropped_links or language:
                return ""
        return self._code(link.text) if link.text is not None else title.lstrip(":")

    def _template(self, template: Template) -> str:
        name = self._code(template.name).strip().replace("_", " ").lower()
        positional, named = [], {}
        for parameter in template.params:
            value = self._code(parameter.value).strip()
            key = str(parameter.name).strip()
            if parameter.showkey and not key.isdigit():
                named[key.lower()] = value
            else:
                positional.append(value)
        return show(Call(name, positional, named, self.date))

    def _tag(self, tag: Tag) -> str:
        name = str(tag.tag).strip().lower()
        if name == "math":
            return DISPLAY + plain_formula(str(tag.contents or "")) + DISPLAY
        if name in DROPPED_TAGS:
            return ""
        inside = self._code(tag.contents)
        if name in ("li", "dd", "dt"):
            mark = ITEM if name == "li" else INDENT
            return mark if tag.wiki_markup else f"\n{mark}{inside}"
        if name == "poem":
            return "\n\n" + inside.replace("\n", "\n\n") + "\n\n"
        if name == "br":
            return " "
        if name == "sup" and inside.strip("+-−").isdigit():
            return f"^{inside}"
        if name in ("p", "div", "blockquote", "center", "hr", "ul", "ol", "dl"):
            return f"\n\n{inside}\n\n"
        return inside


def _without_dropped_sections(code: Wikicode) -> Iterable[Node]:
    """Yield the nodes that are in no dropped section; a section ends at a heading of its own level or above."""
    hidden_below = 0
    for node in code.nodes:
        if isinstance(node, Heading):
            if hidden_below and node.level > hidden_below:
                continue
            title = node.title.strip_code().strip().lower()
            hidden = title in DROPPED_SECTIONS or any(word in title for word in DROPPED_SECTION_WORDS)
            hidden_below = node.level if hidden else 0
        if not hidden_below:
            yield node


LOST_PRICE = re.compile(r"[$£€] (?!\d)")
# Remains of dropped markup in a line and their replacements, applied in this order.
REPAIRS: list[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]]] = [
    (re.compile(r"__[A-Z]+__"), ""),
    (re.compile(r"'{2,}"), ""),
    (re.compile(r"\{\{|\}\}|\[\[|\]\]|\{\||\|\}|</?[a-z][^<>]*>"), ""),
    (re.compile(r"[\s\u00a0\u2000-\u200a\u202f]+"), " "),
    (re.compile(r"[\u200b-\u200f\u2060\ufeff\u00ad]"), ""),
    (re.compile(r"\(\s*(?:[;,:]\s*|[/–—-]\s+)+"), "("),
    # the pattern takes a whole run of marks, because a search from each mark of the run would take quadratic time
    (re.compile(r"(?:\s*[;,:]|\s+[/–—-])+(?:\s*(\)))?"), lambda run: run[1] or run[0]),
    (re.compile(r"([;,])(?:\s*[;,])+"), r"\1"),
    (re.compile(r"\(\s+"), "("),
    (re.compile(r"\s+\)"), ")"),
    (re.compile(r"\s*(?:\(\s*\)|\[\s*\])"), ""),
    (re.compile(r"\s*\([^()]*\)"), lambda aside: "" if LOST_PRICE.search(aside[0]) else aside[0]),
    (re.compile(r"\s+([,.;])(?=\s|$)"), r"\1"),
    (re.compile(r"\s+\^"), "^"),
    (re.compile(r" {2,}"), " "),
]
TABLE_LINE = re.compile(r"\s*(?:\{\||\|\}|\||!)")
BROKEN_MARKUP = re.compile(r"\|\s*(?:thumb|left|right|center|upright|[a-z_]+\s*=)")
DISPLAY_LINE = re.compile(rf"[\s{ITEM}{INDENT}]*(?:{DISPLAY}[^{DISPLAY}]*{DISPLAY}[\s.,;]*)+$")
SENTENCE_ENDS = (".", "!", "?", ":", ";", ",", "…", '"', "”", ")")


def tidy(text: str) -> str:
    """Return rendered text as paragraphs, one per line, repaired and without lines that are not prose.

    As in a wiki, a single line break does not end a paragraph; a blank line, a list item or an indent does.
    """
    paragraphs: list[list[str]] = []
    joined = False
    for raw in text.split("\n"):
        if not raw.strip() or TABLE_LINE.match(raw) or DISPLAY_LINE.match(raw):
            joined = False
        elif joined and not raw.startswith((ITEM, INDENT)):
            paragraphs[-1].append(raw)
        else:
            paragraphs.append([raw])
            joined = not raw.startswith((ITEM, INDENT))
    return "\n".join(line for line in map(_repaired, map(" ".join, paragraphs)) if line)


def _repaired(raw: str) -> str:
    """Return a paragraph as clean prose, or an empty text when it is not prose."""
    is_item = raw.startswith(ITEM)
    line = raw.translate({ord(mark): None for mark in (ITEM, INDENT, DISPLAY)}).lstrip(":;*# ")
    for pattern, repair in REPAIRS:
        line = pattern.sub(repair, line)
    line = line.strip()
    shortest = MIN_ITEM if is_item else 1 if line.endswith(SENTENCE_ENDS) else MIN_LABEL
    kept = len(line) >= shortest and any(char.isalpha() for char in line) and not BROKEN_MARKUP.search(line)
    return line if kept else ""
