from __future__ import annotations

import bz2
from pathlib import Path
from types import SimpleNamespace

import pytest

import prepare
from sparse_attention.data.documents import read_documents
from sparse_attention.data.fetch import retrieve
from sparse_attention.errors import InputError
from sparse_attention.files.tables import read_table

PAGE = (
    "<page><title>T{0}</title><ns>0</ns><id>{0}</id>"
    "<revision><id>9</id><text>Text of page {0}.</text></revision></page>"
)


def snakemake(folder, content, **changes):
    (folder / "dump.xml.bz2").write_bytes(content)
    entry = {"kind": "text", "version": "local", "source": {"type": "path", "path": str(folder / "dump.xml.bz2")}}
    retrieve("mine", entry, folder / "receipt.json")
    split = {"train": 0.5, "validation": 0.25, "test": 0.25, "seed": 1}
    options = {"min_characters": 1, "max_documents": None, "split": split} | changes
    outputs = {"documents": "documents.jsonl", "splits": "splits.json", "statistics": "statistics.tsv"}
    return SimpleNamespace(
        input=SimpleNamespace(receipt=str(folder / "receipt.json")),
        output=SimpleNamespace(**{name: str(folder / "out" / file) for name, file in outputs.items()}),
        params=SimpleNamespace(entry={"format": "mediawiki"}, options=options),
        log=[],
    )


def dump(count: int) -> bytes:
    return bz2.compress(f"<mediawiki>{''.join(PAGE.format(n) for n in range(count))}</mediawiki>".encode())


def test_a_dump_becomes_split_documents(tmp_path):
    job = snakemake(tmp_path, dump(8))
    prepare.main(job)
    documents = list(read_documents(Path(job.output.documents)))
    assert documents[3]["text"] == "Text of page 3." and documents[3]["revision"] == "9"
    assert {document["split"] for document in documents} == {"train", "validation", "test"}
    table = read_table(
        job.output.statistics, ["split", "documents", "characters", "min", "q25", "median", "q75", "max"]
    )
    assert table["documents"].sum() == 8


def test_a_file_that_changed_after_retrieval_is_refused(tmp_path):
    job = snakemake(tmp_path, dump(8))
    (tmp_path / "dump.xml.bz2").write_bytes(dump(9))
    with pytest.raises(InputError, match=r"dump\.xml\.bz2: has the wrong"):
        prepare.main(job)


def test_a_truncated_dump_leaves_no_output(tmp_path):
    job = snakemake(tmp_path, dump(8)[:-9])
    with pytest.raises(InputError, match="truncated"):
        prepare.main(job)
    assert not list((tmp_path / "out").iterdir())
