from __future__ import annotations

import bz2
import json

import datasets
import pytest

from sparse_attention.data.documents import Document, Reading
from sparse_attention.data.readers.datasets import Datasets
from sparse_attention.data.readers.text import Text
from sparse_attention.data.readers.wikitext import WikiText
from sparse_attention.errors import InputError


def read(reader, *files):
    reading = Reading(0, None)
    return list(reading.filter(reader.read(list(files), reading))), reading


@pytest.fixture
def folder(tmp_path):
    rows = [{"text": "one", "title": "A", "id": 7}, {"text": "two", "title": None, "id": 8}]
    datasets.Dataset.from_list(rows).to_parquet(tmp_path / "a.parquet")
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n\n" for row in rows), encoding="utf-8")
    datasets.DatasetDict({"train": datasets.Dataset.from_list(rows)}).save_to_disk(tmp_path / "saved")
    (tmp_path / "a.arrow").write_bytes((tmp_path / "saved/train/data-00000-of-00001.arrow").read_bytes())
    return tmp_path


class TestPlain:
    def test_a_file_is_a_document(self, tmp_path):
        (tmp_path / "sub").mkdir()
        (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfOne\r\n\nparagraph \n")
        (tmp_path / "sub" / "b.txt.bz2").write_bytes(bz2.compress("Zwölf".encode()))
        documents, _ = read(Text(), tmp_path / "a.txt", tmp_path / "sub" / "b.txt.bz2")
        assert [(doc.id, doc.text) for doc in documents] == [("a.txt", "One\n\nparagraph"), ("sub/b.txt.bz2", "Zwölf")]

    def test_separator_lines_cut_a_file(self, tmp_path):
        (tmp_path / "a.txt").write_text("one\n---\n---\ntwo\n--- not alone\n ---\n", encoding="utf-8")
        documents, _ = read(Text(), tmp_path / "a.txt")
        assert [(doc.id, doc.text) for doc in documents] == [("a.txt#1", "one"), ("a.txt#3", "two\n--- not alone")]

    def test_the_place_of_bytes_that_are_not_utf8_is_reported(self, tmp_path):
        (tmp_path / "a.txt").write_bytes(b"good\nb\xe4d\n")
        with pytest.raises(InputError, match=r"a\.txt: line 2, byte 1: 0xe4 is not UTF-8"):
            read(Text(), tmp_path / "a.txt")

    @pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
    def test_utf16_and_utf32_are_refused(self, tmp_path, encoding):
        (tmp_path / "a.txt").write_text("One\n", encoding=encoding)
        with pytest.raises(InputError, match=r"a\.txt: is UTF-16 or UTF-32; allowed: UTF-8 text"):
            read(Text(), tmp_path / "a.txt")

    def test_lines_may_end_as_on_an_old_mac(self, tmp_path):
        (tmp_path / "a.txt").write_bytes(b"one\r---\rtwo\rlines\r")
        assert [document.text for document in read(Text(), tmp_path / "a.txt")[0]] == ["one", "two\nlines"]


WIKITEXT = (
    " \n = Valkyria Chronicles III = \n \n Senjō no Valkyria 3 , is a game . \n\n = = Gameplay = = \n \n"
    " It plays @-@ well .\n = = = Deeper = = = \n = Tower = \n Stone = brick = here .\n"
)


class TestWikitext:
    EXPECTED = [
        ("#1", "Valkyria Chronicles III", "Senjō no Valkyria 3 , is a game .\nIt plays @-@ well ."),
        ("#2", "Tower", "Stone = brick = here ."),
    ]

    def test_headings_of_the_first_level_start_documents(self, tmp_path):
        (tmp_path / "wiki.train.raw").write_text(WIKITEXT, encoding="utf-8")
        documents, _ = read(WikiText(), tmp_path / "wiki.train.raw")
        assert [(doc.id.removeprefix("wiki.train.raw"), doc.title, doc.text) for doc in documents] == self.EXPECTED

    def test_rows_of_lines_as_on_the_hub(self, tmp_path):
        rows = [{"text": line} for line in WIKITEXT.splitlines(keepends=True)]
        datasets.Dataset.from_list(rows).to_parquet(tmp_path / "train.parquet")
        documents, _ = read(WikiText(), tmp_path / "train.parquet")
        assert [(doc.id.removeprefix("train.parquet"), doc.title, doc.text) for doc in documents] == self.EXPECTED

    def test_an_article_that_continues_in_the_next_file_is_one_document(self, tmp_path):
        (tmp_path / "1.txt").write_text(" = A = \n\n One\n", encoding="utf-8")
        (tmp_path / "2.txt").write_text(" more\n = B = \n\n Two\n", encoding="utf-8")
        documents, _ = read(WikiText(), tmp_path / "1.txt", tmp_path / "2.txt")
        assert [(doc.id, doc.text) for doc in documents] == [("1.txt#1", "One\nmore"), ("2.txt#1", "Two")]

    def test_text_without_titles_is_refused(self, tmp_path):
        (tmp_path / "a.txt").write_text("Just text.\n = = Section = =\n", encoding="utf-8")
        with pytest.raises(InputError, match=r"no line like ' = Title = '"):
            read(WikiText(), tmp_path / "a.txt")


class TestRows:
    @pytest.mark.parametrize("name", ["a.parquet", "a.jsonl", "a.arrow"])
    def test_a_row_is_a_document(self, folder, name):
        documents, _ = read(Datasets(), folder / name)
        assert [(doc.id, doc.title, doc.text) for doc in documents] == [("7", "A", "one"), ("8", "", "two")]

    @pytest.mark.parametrize("name", ["a.parquet", "a.jsonl", "a.arrow"])
    def test_the_error_for_an_unknown_column_names_the_columns(self, folder, name):
        with pytest.raises(
            InputError, match=f"{name}: there is no column body( in line 1)?; its columns: text, title, id"
        ):
            read(Datasets("body"), folder / name)

    @pytest.mark.parametrize("name", ["a.parquet", "a.arrow"])
    def test_truncated_tables_are_named(self, folder, name):
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: len(content) // 2])
        with pytest.raises(InputError, match=f"{name}: not a readable"):
            read(Datasets(), folder / name)

    @pytest.mark.parametrize("line", ["{", "[1]", '"a"', "[" * 100_000], ids=["cut", "list", "string", "deep"])
    def test_lines_that_are_not_objects_are_refused(self, tmp_path, line):
        (tmp_path / "a.jsonl").write_text(f'{{"text": "a"}}\n{line}\n', encoding="utf-8")
        with pytest.raises(InputError, match=r"a\.jsonl: line 2 is not"):
            read(Datasets(), tmp_path / "a.jsonl")

    def test_rows_without_text_are_counted(self, tmp_path):
        (tmp_path / "a.jsonl").write_text('{"text": null}\n{"text": "a"}\n', encoding="utf-8")
        documents, reading = read(Datasets(), tmp_path / "a.jsonl")
        assert [doc.id for doc in documents] == ["a.jsonl#2"] and sum(reading.dropped.values()) == 1

    @pytest.mark.parametrize("content", ['["a"]', '{"a": 1}', "3"], ids=["list", "mapping", "number"])
    def test_a_cell_that_is_not_text_is_refused(self, tmp_path, content):
        (tmp_path / "a.jsonl").write_text(f'{{"text": "a"}}\n{{"text": {content}}}\n')
        for reader in (Datasets(), WikiText()):
            with pytest.raises(InputError, match=r"a\.jsonl: row 2: text is not text but a .*; allowed: text"):
                read(reader, tmp_path / "a.jsonl")

    def test_nan_is_a_missing_text_and_a_missing_id(self, tmp_path):
        (tmp_path / "a.jsonl").write_text('{"text": NaN, "id": 3}\n{"text": "a", "id": NaN, "title": NaN}\n')
        documents, reading = read(Datasets(), tmp_path / "a.jsonl")
        assert documents == [Document("a.jsonl#2", "", "a")] and dict(reading.dropped) == {"no text in column text": 1}

    @pytest.mark.parametrize("cell", ['["a"]', '{"a": 1}', "1.5", "true"], ids=["list", "mapping", "fraction", "truth"])
    def test_an_odd_id_or_title_counts_as_missing(self, tmp_path, cell):
        (tmp_path / "a.jsonl").write_text(
            f'{{"text": "one", "id": {cell}, "title": {cell}}}\n{{"text": "two", "id": 7}}'
        )
        documents, reading = read(Datasets(), tmp_path / "a.jsonl")
        assert documents == [Document("a.jsonl#1", "", "one"), Document("7", "", "two")]
        assert "1 cells of id ignored because" in reading.summary() and "1 cells of title" in reading.summary()

    def test_another_text_under_the_same_id_is_another_document(self, tmp_path):
        for shard, texts in {"1": ["one", "two"], "2": ["three", "two"]}.items():
            rows = [json.dumps({"id": number, "text": row}) for number, row in enumerate(texts)]
            (tmp_path / f"{shard}.jsonl").write_text("\n".join(rows))
        shards = [tmp_path / "1.jsonl", tmp_path / "2.jsonl"]
        documents, reading = read(Datasets(), *shards)
        assert [document.text for document in documents] == ["one", "two", "three"]
        assert [document.id for document in documents][:2] == ["0", "1"] and documents[2].id.startswith("0#")
        assert "1 repeated; 1 ids changed because another document has the same" in reading.summary()
        assert {document.id for document in read(Datasets(), *shards[::-1])[0]} >= {"0", "1"}

    def test_lone_surrogates_are_replaced_and_counted(self, tmp_path):
        (tmp_path / "a.jsonl").write_text(r'{"text": "cut \ud83d", "title": "whole \ud83d\ude00"}')
        documents, reading = read(Datasets(), tmp_path / "a.jsonl")
        assert (documents[0].text, documents[0].title) == ("cut \ufffd", "whole 😀")
        assert "1 halves of characters replaced" in reading.summary()

    def test_a_new_id_differs_from_all_other_ids(self, tmp_path):
        rows = [{"id": "x", "text": text} for text in ("one", "two")]
        made = read(Datasets(), written(tmp_path / "a.jsonl", rows))[0][1].id
        more = [*rows, {"id": made, "text": "three"}]
        for order in (more, more[::-1]):
            documents, _ = read(Datasets(), written(tmp_path / "a.jsonl", order))
            assert len({document.id for document in documents}) == 3


def written(path, rows):
    path.write_text("\n".join(map(json.dumps, rows)))
    return path
