from __future__ import annotations

import bz2
import gzip
import tracemalloc
from pathlib import Path

import pytest

from sparse_attention.data.documents import Reading
from sparse_attention.data.readers import mediawiki
from sparse_attention.errors import InputError

HEAD = (
    '<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.10/"><siteinfo><namespaces>'
    '<namespace key="6">Datei</namespace><namespace key="14">Kategorie</namespace></namespaces></siteinfo>'
)
PAGE = (
    "<page><title>{title}</title><ns>{ns}</ns><id>{id}</id>{extra}<revision><id>1</id><text>old</text></revision>"
    "<revision><id>7{id}</id><timestamp>2016-05-01T00:00:00Z</timestamp><model>{model}</model>"
    "<text>{text}</text></revision></page>"
)


def page(number: int, text: str = "Some text here.", ns: int = 0, extra: str = "", model: str = "wikitext") -> str:
    return PAGE.format(id=number, title=f"Title {number}", text=text, ns=ns, extra=extra, model=model)


def dump(*pages: str) -> bytes:
    return (HEAD + "".join(pages) + "</mediawiki>").encode()


PAGES = dump(
    page(1, "Text one. [[Datei:A.png|mini|x]]"),
    page(2, extra='<redirect title="Title 1" />'),
    page(3, ns=1),
    page(4, model="css"),
    page(5, "Text &lt;ref&gt;x&lt;/ref&gt;five."),
)


@pytest.mark.parametrize(
    ("name", "pack"),
    [("a.xml", bytes), ("a.xml.bz2", bz2.compress), ("a.xml.gz", gzip.compress), ("articles-p1p5.bz2", bz2.compress)],
)
def test_articles_of_the_newest_revision(tmp_path, name, pack):
    (tmp_path / name).write_bytes(pack(PAGES))
    reading = Reading(0, None)
    documents = list(reading.filter(mediawiki.MediaWiki().read([tmp_path / name], reading)))
    assert [(doc.id, doc.title, doc.text, doc.revision) for doc in documents] == [
        ("1", "Title 1", "Text one.", "71"),
        ("5", "Title 5", "Text five.", "75"),
    ]
    assert dict(reading.dropped) == {"redirects": 1, "outside the article namespace": 1, "not wikitext": 1}


def test_a_page_of_unclosed_tables_is_counted_and_the_next_one_read(tmp_path):
    (tmp_path / "a.xml").write_bytes(dump(page(1, "Some text.\n" + "{|\n" * 3000), page(2)))
    reading = Reading(0, None)
    documents = list(reading.filter(mediawiki.MediaWiki().read([tmp_path / "a.xml"], reading)))
    assert [doc.text for doc in documents] == ["Some text.", "Some text here."]
    assert reading.summary() == "2 read, 2 kept; 1 pages whose very many unclosed marks became text"


def test_several_bz2_streams_in_one_file(tmp_path):
    half = len(PAGES) // 2
    (tmp_path / "a.xml.bz2").write_bytes(bz2.compress(PAGES[:half]) + bz2.compress(PAGES[half:]))
    assert len(list(mediawiki.pages(tmp_path / "a.xml.bz2"))) == 5


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.xml.bz2", bz2.compress(PAGES)[:-20], "truncated: the compressed stream ends too early"),
        ("a.xml.gz", gzip.compress(PAGES)[:-20], "truncated: the compressed stream ends too early"),
        ("a.xml", PAGES[:-40], "damaged or truncated after page 4"),
        ("a.xml", b"", "not a complete MediaWiki XML dump: no element found"),
        ("a.xml", b"<html><body/></html>", "the root element <html> is not allowed; allowed: <mediawiki>"),
        ("a.xml", b"Just some text.", "not a complete MediaWiki XML dump: syntax error"),
        ("a.xml", PAGES.replace(b"Title 5", b"Title \xff"), "damaged or truncated after page 4: not well-formed"),
        ("a.xml.bz2", PAGES, r"not a readable \.bz2 file"),
        ("a.xml.gz", PAGES, r"not a readable \.gz file"),
        ("a.xml", None, "no such file"),
    ],
    ids=["short bz2", "short gz", "short xml", "empty", "html", "text", "bytes", "no bz2", "no gz", "missing"],
)
def test_damaged_files_are_named(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message) as error:
        list(mediawiki.pages(tmp_path / name))
    assert str(tmp_path / name) in str(error.value)


def peak_bytes(file: Path) -> int:
    tracemalloc.start()
    for _ in mediawiki.pages(file):
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_memory_does_not_grow_with_the_dump(tmp_path):
    for name, count in (("small.xml", 20), ("large.xml", 200)):
        (tmp_path / name).write_bytes(dump(*[page(number, "word " * 4000) for number in range(count)]))
    assert peak_bytes(tmp_path / "large.xml") < 1.2 * peak_bytes(tmp_path / "small.xml")


def articles(*files):
    reading = Reading(0, None)
    return list(reading.filter(mediawiki.MediaWiki().read(list(files), reading))), reading


def test_references_to_two_surrogates_make_one_character(tmp_path):
    (tmp_path / "a.xml").write_bytes(
        dump(page(1, "A &amp;#xD83D;&amp;#xDE00; on a page."), page(2, "A cut &amp;#xD83D; too."))
    )
    documents, reading = articles(tmp_path / "a.xml")
    assert [document.text for document in documents] == ["A 😀 on a page.", "A cut \ufffd too."]
    assert reading.summary() == "2 read, 2 kept; 1 halves of characters replaced"


def test_equal_page_ids_of_two_wikis_are_two_pages(tmp_path):
    (tmp_path / "a.xml").write_bytes(dump(page(1, "The main page of a wiki."), page(2, "A page of both.")))
    (tmp_path / "b.xml").write_bytes(dump(page(1, "The main page of another."), page(2, "A page of both.")))
    documents, reading = articles(tmp_path / "a.xml", tmp_path / "b.xml")
    texts = ["The main page of a wiki.", "A page of both.", "The main page of another."]
    assert [document.text for document in documents] == texts
    assert len({document.id for document in documents}) == 3 and dict(reading.dropped) == {"repeated": 1}


@pytest.mark.parametrize("encoding", [b"no-such-code", b"utf-7", b"gb18030"])
def test_an_unknown_encoding_is_refused(tmp_path, encoding):
    (tmp_path / "a.xml").write_bytes(b'<?xml version="1.0" encoding="' + encoding + b'"?>' + PAGES)
    with pytest.raises(InputError, match=r"a\.xml: not a complete MediaWiki XML dump: "):
        list(mediawiki.pages(tmp_path / "a.xml"))
