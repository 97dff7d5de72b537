from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import datasets
import pytest

from sparse_attention.data.fetch import retrieve
from sparse_attention.data.prepare import PrepareOptions, prepare
from sparse_attention.data.registry import Dataset, open_dataset
from sparse_attention.data.splits import Shares
from sparse_attention.errors import InputError

SPLIT = {"train": 0.6, "validation": 0.2, "test": 0.2, "seed": 0}


def corpus(folder: Path, **texts: str) -> Dataset:
    source = folder / "source"
    for name, content in texts.items():
        file = source / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content, encoding="utf-8")
    entry = {"kind": "text", "version": "local", "source": {"type": "path", "path": str(source)}}
    retrieve("mine", entry, folder / "receipt.json")
    return open_dataset(folder / "receipt.json")


def run(folder: Path, dataset: Dataset, entry: dict[str, str] | None = None, **changes: object):
    options = replace(PrepareOptions(3, None, Shares(**SPLIT)), **changes)
    outputs = folder / "documents.jsonl", folder / "splits.json"
    table = prepare(dataset, *outputs, entry or {"format": "text"}, options)
    lines = (folder / "documents.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines], json.loads((folder / "splits.json").read_text()), table


def test_documents_splits_and_statistics_agree(tmp_path):
    texts = {f"{number:02}.txt": "word " * (number + 1) for number in range(12)}
    documents, splits, table = run(tmp_path, corpus(tmp_path, **texts, short_txt="not read"))
    assert [document["id"] for document in documents] == sorted(texts)
    assert list(documents[0]) == ["id", "title", "split", "text"]
    for name, members in splits["splits"].items():
        assert members == [document["id"] for document in documents if document["split"] == name]
    assert splits["shares"] == SPLIT
    assert table["documents"].sum() == 12
    assert table["characters"].sum() == sum(len(document["text"]) for document in documents)
    assert list(table.columns[-5:]) == ["min", "q25", "median", "q75", "max"]


def test_limits_leave_documents_out(tmp_path):
    dataset = corpus(tmp_path, **{f"{number}.txt": "x" * number for number in range(1, 9)})
    documents, _, _ = run(tmp_path, dataset, min_characters=3, max_documents=4)
    assert [document["text"] for document in documents] == ["x" * number for number in (3, 4, 5, 6)]


def test_zero_documents_say_how_many_were_read_and_why_dropped(tmp_path):
    dataset = corpus(tmp_path, **{"a.txt": "ab", "b.txt": ""})
    with pytest.raises(
        InputError, match=r"no document is left: 2 read, 0 kept; left out: 2 shorter than prepare.min_charac"
    ):
        run(tmp_path, dataset, min_characters=100)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["receipt.json", "source"]


def test_a_document_that_is_repeated_with_its_id_is_kept_once(tmp_path):
    dataset = corpus(
        tmp_path, **{"a.jsonl": "".join(json.dumps({"id": n % 3, "text": "abc"}) + "\n" for n in range(6))}
    )
    documents, _, _ = run(tmp_path, dataset, {"format": "datasets"})
    assert [document["id"] for document in documents] == ["0", "1", "2"]


def test_a_column_can_be_named(tmp_path):
    dataset = corpus(tmp_path, **{"a.jsonl": "".join(json.dumps({"body": "abc"}) + "\n" for _ in range(3))})
    assert len(run(tmp_path, dataset, {"format": "datasets", "text_column": "body"})[0]) == 3
    with pytest.raises(InputError, match="there is no column text in line 1; its columns: body"):
        run(tmp_path, dataset, {"format": "datasets"})


def test_a_folder_without_the_formats_files_is_refused(tmp_path):
    dataset = corpus(tmp_path, **{"a.txt": "abc", "b.txt": "abc"})
    with pytest.raises(InputError, match=r"has no file of format mediawiki; allowed: suffixes \.xml"):
        run(tmp_path, dataset, {"format": "mediawiki"})


def test_one_document_cannot_fill_three_splits(tmp_path):
    with pytest.raises(InputError, match="1 documents cannot fill 3 splits"):
        run(tmp_path, corpus(tmp_path, **{"a.txt": "abc"}))


def test_a_cache_beside_a_saved_data_set_is_neither_retrieved_nor_read(tmp_path):
    source = tmp_path / "source"
    texts = [f"text number {number}" for number in range(6)]
    datasets.Dataset.from_dict({"text": texts}).save_to_disk(source)
    (source / "cache-0123.arrow").write_bytes((source / "data-00000-of-00001.arrow").read_bytes())
    dataset = corpus(tmp_path)
    assert "cache-0123.arrow" not in [file.name for file in dataset.files]
    documents, _, _ = run(tmp_path, dataset, {"format": "datasets"})
    assert [document["text"] for document in documents] == texts
