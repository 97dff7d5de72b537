"""Reads MediaWiki XML dumps page by page, so that memory does not grow with the dump."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sparse_attention.data.documents import Document, Reading
from sparse_attention.data.files import open_bytes
from sparse_attention.data.markup import Renderer
from sparse_attention.data.readers.base import TextReader
from sparse_attention.errors import InputError

FILE_NAMESPACE, CATEGORY_NAMESPACE = "6", "14"


@dataclass(frozen=True)
class Page:
    """A page of a dump: its newest revision's wikitext, and the site's names for files and categories."""

    id: str
    title: str
    namespace: str
    redirect: bool
    model: str
    revision: str
    date: str
    wikitext: str
    dropped_links: frozenset[str]


class MediaWiki(TextReader):
    """Reads articles (namespace 0, no redirects) as clean prose from XML dumps, plain, `.bz2` or `.gz`."""

    name = "mediawiki"
    suffixes = (".xml",)

    def read(self, files: list[Path], reading: Reading) -> Iterator[Document]:
        """Yield the articles of all dumps."""
        for file in files:
            for page in pages(file):
                if page.namespace != "0":
                    reading.drop("outside the article namespace")
                elif page.redirect:
                    reading.drop("redirects")
                elif page.model != "wikitext":
                    reading.drop("not wikitext")
                else:
                    renderer = Renderer(page.date, page.dropped_links)
                    text = renderer.render(page.wikitext)
                    reading.mend("pages whose very many unclosed marks became text", int(renderer.mended))
                    yield Document(page.id, page.title, text, page.revision)


def pages(file: Path) -> Iterator[Page]:
    """Yield the pages of one dump.

    Raises
    ------
    InputError
        When the file is damaged, is not XML, or is not an export of MediaWiki.
    """
    found = 0
    try:
        with open_bytes(file) as stream:
            for page in _parse(file, stream):
                found += 1
                yield page
    except InputError:
        raise
    except (ET.ParseError, LookupError, ValueError) as error:  # also for an unknown encoding
        if found:
            raise InputError(f"{file}: damaged or truncated after page {found}: {error}; get the file again") from None
        raise InputError(f"{file}: not a complete MediaWiki XML dump: {error}") from None


def _parse(file: Path, stream: object) -> Iterator[Page]:
    root: ET.Element | None = None
    dropped: set[str] = set()
    for event, element in ET.iterparse(stream, events=("start", "end")):  # type: ignore[call-overload]
        tag = _local(element)
        if root is None:
            if tag != "mediawiki":
                raise InputError(
                    f"{file}: the root element <{tag}> is not allowed; allowed: <mediawiki>, an export of MediaWiki"
                )
            root = element
        elif event == "end" and tag == "namespace" and element.get("key") in (FILE_NAMESPACE, CATEGORY_NAMESPACE):
            dropped.add((element.text or "").lower())
        elif event == "end" and tag == "page":
            yield _page(element, frozenset(dropped))
            root.clear()


def _local(element: ET.Element) -> str:
    return element.tag.rsplit("}", 1)[-1]


def _page(element: ET.Element, dropped_links: frozenset[str]) -> Page:
    parts = {_local(child): child for child in element}
    # a dump of the full history has several revisions of a page; the last one is the newest
    revision = {_local(child): child.text or "" for child in parts.get("revision", ())}
    text = {name: (part.text or "").strip() for name, part in parts.items()}
    return Page(
        id=text.get("id", ""),
        title=text.get("title", ""),
        namespace=text.get("ns", "0"),
        redirect="redirect" in parts,
        model=revision.get("model", "wikitext"),
        revision=revision.get("id", ""),
        date=revision.get("timestamp", "")[:10],
        wikitext=revision.get("text", ""),
        dropped_links=dropped_links,
    )
