"""Readers of a user's texts, code, tables and settings, each with a function that builds a small valid input."""

from __future__ import annotations

import bz2
import csv
import difflib
import gzip
import io
import json
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from sparse_attention.data import prepare
from sparse_attention.data.code import prepare as prepare_code
from sparse_attention.data.code.functions import Function, Intake, read_functions, write_functions
from sparse_attention.data.code.readers import registry as code_readers
from sparse_attention.data.documents import Reading, read_documents
from sparse_attention.data.readers import registry as text_readers
from sparse_attention.data.registry import Dataset, open_dataset, write_receipt
from sparse_attention.data.sources.path import resolve
from sparse_attention.files.tables import read_table
from sparse_attention.files.yaml import read_mapping
from sparse_attention.settings.config import validate
from sparse_attention.settings.datasets import load_registry
from sparse_attention.settings.origins import read_origins

ROOT = Path(__file__).parents[2]


class Reader(NamedTuple):
    """A reader of users' files, with settings of its fuzz test.

    Attributes
    ----------
    build : writes a valid input into an empty folder.
    read : reads that folder to the end.
    cases : number of cases in the ordinary tests; slow readers get fewer.
    problems : whether the error lists several problems, one per line, as for a configuration.
    only_values : whether only values are damaged, because another program reads the file format.
    may_hang : whether the library that reads the file hangs for some damages, which we cannot prevent.
    """

    build: Callable[[Path], object]
    read: Callable[[Path], object]
    cases: int = 40
    problems: bool = False
    only_values: bool = False
    may_hang: bool = False


PAGE = """<page><title>{0}</title><ns>0</ns><id>{0}</id><revision><id>7</id><timestamp>2016-05-01T00:00:00Z</timestamp>
<model>wikitext</model><text>'''{0}''' is a [[word|Word]] &amp; a {{{{convert|3|km}}}} &lt;math&gt;x&lt;/math&gt;
== Part ==
* one {{| class="a" |}} [[File:a.png|thumb|b]]</text></revision></page>
"""
WIKI = (
    '<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.10/"><siteinfo><namespaces><namespace key="6">File'
    "</namespace></namespaces></siteinfo>\n" + "".join(PAGE.format(number) for number in range(3)) + "</mediawiki>\n"
)
TEXTS = ["One text of words é 漢.", "Another text, longer than the first one.", "A third."]
ROWS = [{"id": str(number), "title": f"Title {number}", "text": text} for number, text in enumerate(TEXTS)]
RAW = "\n = One = \n\n Some words of one . \n = = Part = = \n More . \n = Two = \n Words of two . \n"
CODE = [{"functionSource": f"int f{i}(int a) {{\n  return a + {i};\n}}", "label": i % 2, "project": f"p{i}"}
        for i in range(6)]  # fmt: skip
MODULE = "import subprocess\n\ndef run(command):\n    return subprocess.call(command, shell=True)\n"


def _write(name: str, content: str | bytes) -> Callable[[Path], object]:
    raw = content.encode() if isinstance(content, str) else content
    return lambda folder: (folder / name).write_bytes(raw)


def _lines(rows: list[dict[str, Any]]) -> str:
    return "".join(f"{json.dumps(row)}\n" for row in rows)


def _csv(rows: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _parquet(rows: list[dict[str, Any]]) -> bytes:
    import pyarrow
    from pyarrow import parquet

    buffer = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_pylist(rows), buffer, row_group_size=2)
    return buffer.getvalue()


def _saved_dataset(folder: Path) -> None:
    import datasets

    datasets.Dataset.from_list(ROWS).save_to_disk(folder)


def _hdf5(folder: Path) -> None:
    import h5py

    with h5py.File(folder / "code.h5", "w") as file:
        file["functionSource"] = [row["functionSource"] for row in CODE]
        file["label"] = [row["label"] for row in CODE]


def _wheel(folder: Path) -> None:
    with zipfile.ZipFile(folder / "toy-1.0-py3-none-any.whl", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("toy/a.py", MODULE)
        archive.writestr("toy/b.py", "def f():\n    pass\n")


def _debian(folder: Path) -> None:
    before = "int f(int a)\n{\n    return a;\n}\n"
    after = before.replace("return a", "return -a")
    patch = "".join(difflib.unified_diff(before.splitlines(True), after.splitlines(True), "a/f.c", "b/f.c"))
    packaging = {"debian/patches/series": "CVE-2024-1.patch\n", "debian/patches/CVE-2024-1.patch": patch}
    archives = {"toy_1.0.orig.tar.xz": {"toy-1.0/f.c": before}, "toy_1.0-1.debian.tar.xz": packaging}
    for name, files in archives.items():
        with tarfile.open(folder / name, "w:xz") as archive:
            for path, text in files.items():
                member = tarfile.TarInfo(path)
                member.size = len(text)
                archive.addfile(member, io.BytesIO(text.encode()))


def _dataset(folder: Path) -> Dataset:
    return Dataset("mine", "local", *resolve(str(folder)), {})


def _corpus(form: str) -> Callable[[Path], object]:
    def read(folder: Path) -> object:
        reader, reading = text_readers.create(form, {}), Reading(1, None)
        files = prepare.corpus_files(_dataset(folder), reader)
        return list(reading.filter(reader.read(files, reading)))

    return read


def _code(form: str, bad_rows: str = "refuse", **entry: Any) -> Callable[[Path], object]:
    def read(folder: Path) -> object:
        reader = code_readers.create(form, entry)
        files = prepare_code.code_files(_dataset(folder), reader, entry)
        return list(reader.read(files, Intake(bad_rows)))

    return read


def _receipt(folder: Path) -> None:
    (folder / "data").mkdir()
    (folder / "data" / "a.txt").write_text("text")
    entry = {"version": "1", "kind": "text", "licence": "MIT"}
    write_receipt(folder / "receipt.json", "mine", entry, {}, (folder / "data").absolute(), [folder / "data" / "a.txt"])
    record = json.loads((folder / "receipt.json").read_text())
    (folder / "receipt.json").write_text(json.dumps(record | {"root": "data"}))


def _config(folder: Path) -> None:
    (folder / "wiki.xml").write_text("x")
    content = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    content |= {"corpus": "mine", "corpora": {"mine": {"path": str(folder / "wiki.xml"), "format": "mediawiki"}}}
    (folder / "config.yaml").write_text(yaml.safe_dump(content))


def _validate(folder: Path) -> None:
    files = [str(path) for path in folder.glob("*.yaml")]
    registry = load_registry(ROOT / "config" / "datasets.yaml")
    origins = read_origins(files)
    validate(read_mapping(Path(files[0])), origins, registry, folder)


def _registry(folder: Path) -> None:
    entries = yaml.safe_load((ROOT / "config" / "datasets.yaml").read_text())
    (folder / "datasets.yaml").write_text(yaml.safe_dump(dict(list(entries.items())[:3])))


TABLE = "point\tkeep\trecall\n" + "".join(f"{point}\tnone\t0.{point}\n" for point in range(5))
READERS: dict[str, Reader] = {
    "mediawiki": Reader(_write("wiki.xml", WIKI), _corpus("mediawiki")),
    "mediawiki-bz2": Reader(_write("wiki.xml.bz2", bz2.compress(WIKI.encode())), _corpus("mediawiki")),
    "mediawiki-gz": Reader(_write("wiki.xml.gz", gzip.compress(WIKI.encode())), _corpus("mediawiki")),
    "text": Reader(_write("a.txt", "\n---\n".join(TEXTS)), _corpus("text")),
    "text-gz": Reader(_write("a.txt.gz", gzip.compress("\n---\n".join(TEXTS).encode())), _corpus("text")),
    "wikitext": Reader(_write("wiki.train.raw", RAW), _corpus("wikitext")),
    "wikitext-parquet": Reader(
        _write("a.parquet", _parquet([{"text": line} for line in RAW.splitlines()])), _corpus("wikitext")
    ),
    "rows-jsonl": Reader(_write("a.jsonl", _lines(ROWS)), _corpus("datasets")),
    "rows-parquet": Reader(_write("a.parquet", _parquet(ROWS)), _corpus("datasets")),
    "rows-arrow": Reader(_saved_dataset, _corpus("datasets")),
    "code-csv": Reader(_write("a.csv", _csv(CODE)), _code("table", project_column="project")),
    "code-csv-gz": Reader(_write("a.csv.gz", gzip.compress(_csv(CODE).encode())), _code("table", "drop")),
    "code-jsonl": Reader(_write("a.jsonl", _lines(CODE)), _code("table", "drop", project_column="project")),
    "code-json": Reader(_write("a.json", json.dumps(CODE[0])), _code("table")),
    "code-parquet": Reader(_write("a.parquet", _parquet(CODE)), _code("table", "drop", project_column="project")),
    # the HDF5 library never stops if addresses of texts form a cycle
    "code-hdf5": Reader(_hdf5, _code("table", "drop"), may_hang=True),
    "bandit": Reader(_wheel, _code("bandit"), 6),
    "debian": Reader(_debian, _code("debian")),
    "functions": Reader(
        lambda folder: write_functions([Function(row["functionSource"], row["label"]) for row in CODE],
                                       folder / "functions.parquet"),
        lambda folder: list(read_functions(folder / "functions.parquet")),
    ),
    "documents": Reader(
        _write("documents.jsonl", _lines([row | {"split": "train"} for row in ROWS])),
        lambda folder: list(read_documents(folder / "documents.jsonl")),
    ),
    "table": Reader(_write("a.tsv", TABLE), lambda folder: read_table(folder / "a.tsv", ["point", "keep", "recall"])),
    "receipt": Reader(_receipt, lambda folder: open_dataset(folder / "receipt.json")),
    "registry": Reader(_registry, lambda folder: load_registry(folder / "datasets.yaml"), 30, problems=True),
    "config": Reader(_config, _validate, 10, problems=True, only_values=True),
}  # fmt: skip
