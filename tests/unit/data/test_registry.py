from __future__ import annotations

import json
from pathlib import Path

import pytest

from sparse_attention.data.fetch import retrieve
from sparse_attention.data.registry import open_dataset, own_files, why_stale, write_receipt
from sparse_attention.errors import InputError
from sparse_attention.files.checksums import sha256_of

ENTRY = {"kind": "text", "version": "1", "licence": "CC0"}


@pytest.fixture
def receipt(tmp_path: Path) -> Path:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.txt").write_text("alpha", encoding="utf-8")
    write_receipt(tmp_path / "receipt.json", "toy", ENTRY, {"type": "x"}, tmp_path, [tmp_path / "sub" / "a.txt"])
    return tmp_path / "receipt.json"


def test_a_receipt_is_read_back_as_it_was_written(receipt):
    dataset = open_dataset(receipt)
    assert (dataset.name, dataset.version, dataset.root) == ("toy", "1", receipt.parent)
    assert dataset.files == [receipt.parent / "sub" / "a.txt"]
    assert dataset.receipt["files"][0]["sha256"] == sha256_of(dataset.files[0])
    assert dataset.receipt["licence"] == "CC0"


def test_a_relative_root_moves_with_its_tree(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here/data").mkdir(parents=True)
    (tmp_path / "here/data/a.txt").write_text("a", encoding="utf-8")
    write_receipt(Path("here/r/receipt.json"), "t", ENTRY, {}, Path("here/data"), [Path("here/data/a.txt")])
    (tmp_path / "here").rename(tmp_path / "there")
    assert open_dataset(tmp_path / "there/r/receipt.json").files[0].read_text() == "a"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda file: file.unlink(), "is missing"),
        (lambda file: file.write_text("alph"), "wrong size: expected 5 bytes, found 4"),
        (lambda file: file.write_text("ALPHA"), "wrong checksum: expected sha256 8ed3f6ad.*, found [0-9a-f]{64}"),
    ],
    ids=["missing", "truncated", "altered"],
)
def test_files_that_changed_are_refused(receipt, change, message):
    file = receipt.parent / "sub" / "a.txt"
    change(file)
    with pytest.raises(InputError, match=message) as error:
        open_dataset(receipt)
    assert str(file) in str(error.value) and str(receipt) in str(error.value)
    assert open_dataset(receipt, verify=False).name == "toy"


@pytest.mark.parametrize("content", ["", "[]", json.dumps({"root": "."})], ids=["empty", "list", "keys missing"])
def test_a_file_that_is_not_a_receipt_is_refused(tmp_path, content):
    (tmp_path / "receipt.json").write_text(content)
    with pytest.raises(InputError, match="not a receipt|allowed: a receipt; delete it"):
        open_dataset(tmp_path / "receipt.json")


def test_a_missing_receipt_is_named(tmp_path):
    with pytest.raises(InputError, match="no such receipt"):
        open_dataset(tmp_path / "receipt.json")


def test_a_name_that_is_not_utf8_is_read_back_as_it_was(tmp_path):
    name = "caf\udce9.txt"
    (tmp_path / name).write_text("a")
    write_receipt(tmp_path / "receipt.json", "t", ENTRY, {}, tmp_path, [tmp_path / name])
    assert open_dataset(tmp_path / "receipt.json").files == [tmp_path / name]


class TestStale:
    """Whether a receipt is that of an entry as the configuration has it now."""

    PUBLISHED = {
        "kind": "text",
        "version": "1",
        "source": {"type": "url", "url": "https://example.org/data"},
        "files": [{"path": "a.txt", "sha256": "0" * 64, "size": 4}],
    }

    @pytest.fixture(autouse=True)
    def here(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        for name in ("texts/a.txt", "texts/b.txt", "others/a.txt", "others/b.txt"):
            Path(name).parent.mkdir(exist_ok=True)
            Path(name).write_text("text")

    def own(self, path="texts", kind="text", **more):
        return {"kind": kind, "version": "local", "source": {"type": "path", "path": path, **more}}

    def after(self, entry, now=None, name="mine"):
        """Return why the receipt of `entry` does not fit the entry `now`."""
        retrieve("mine", entry, Path("receipt.json"))
        return why_stale(Path("receipt.json"), name, now or entry)

    def published(self, **changes):
        """Return why the receipt of PUBLISHED, with what the hub answered, does not fit after `changes`."""
        Path("a.txt").write_text("text")
        answered = self.PUBLISHED["source"] | {"commit": "abc"}
        write_receipt(Path("receipt.json"), "web", self.PUBLISHED, answered, Path(), [Path("a.txt")])
        receipt = json.loads(Path("receipt.json").read_text())
        receipt["files"][0]["sha256"] = "0" * 64
        Path("receipt.json").write_text(json.dumps(receipt))
        return why_stale(Path("receipt.json"), "web", self.PUBLISHED | changes)

    def test_a_fitting_receipt_and_a_missing_one_are_not_stale(self):
        assert self.after(self.own()) is None
        assert self.published() is None and self.published(licence="CC0") is None
        assert why_stale(Path("none.json"), "mine", self.own()) is None

    def test_a_receipt_fits_after_its_folder_was_moved(self, tmp_path, monkeypatch):
        (tmp_path / "project").mkdir()
        monkeypatch.chdir(tmp_path / "project")
        (tmp_path / "texts").rename("texts")
        assert self.after(self.own()) is None
        (tmp_path / "project").rename(tmp_path / "moved")
        monkeypatch.chdir(tmp_path / "moved")
        assert why_stale(Path("receipt.json"), "mine", self.own()) is None

    @pytest.mark.parametrize(
        ("now", "reason"),
        [
            ({"path": "others"}, "made from source.path 'texts', which is now 'others'"),
            ({"path": "texts/*.txt"}, "source.path"),
            ({"trained": True}, "made from source.trained None, which is now True"),
            ({"kind": "code"}, "made for mine, version local, text"),
        ],
        ids=["folder", "glob", "trained", "kind"],
    )
    def test_another_source_is_reported(self, now, reason):
        assert reason in self.after(self.own(), self.own(**now))

    def test_another_name_is_reported(self):
        assert self.after(self.own(), name="yours") == "made for mine, version local, text"

    def test_files_that_are_added_removed_or_grow_are_reported(self):
        assert self.after(self.own()) is None
        Path("texts/c.txt").write_text("text")
        assert why_stale(Path("receipt.json"), "mine", self.own()) == "made of other files: c.txt"
        Path("texts/c.txt").unlink()
        Path("texts/a.txt").write_text("longer")
        assert why_stale(Path("receipt.json"), "mine", self.own()) == "made of another a.txt"
        Path("texts/a.txt").unlink()
        assert why_stale(Path("receipt.json"), "mine", self.own()) == "made of other files: a.txt"

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"source": {"type": "url", "url": "https://example.org/other"}}, "made from source.url"),
            ({"source": {"type": "hub", "repo": "a/b", "revision": "main"}}, "made from source.type 'url'"),
            ({"files": [{"path": "a.txt", "sha256": "1" * 64}]}, "made of another a.txt"),
            ({"files": [{"path": "a.txt", "size": 5}]}, "made of another a.txt"),
            ({"files": [{"path": "b.txt"}]}, "made of other files: a.txt"),
            ({"files": [{"path": "a.txt"}, {"path": "b.txt"}]}, "made of other files: b.txt"),
            ({"version": "2"}, "made for web, version 1, text"),
        ],
        ids=["url", "kind of source", "checksum", "size", "name", "one more", "version"],
    )
    def test_a_changed_entry_of_the_registry_is_reported(self, changes, reason):
        assert self.published(**changes).startswith(reason)

    @pytest.mark.parametrize("source", ['"x"', "{}"])
    def test_a_receipt_of_another_shape_is_made_again(self, source):
        record = (
            '{"root": ".", "files": [{"path": "a"}], "dataset": "mine", "version": "local", "kind": "text", "source": '
        )
        Path("receipt.json").write_text(f"{record}{source}}}")
        assert "not a receipt" in why_stale(Path("receipt.json"), "mine", self.own())

    def test_a_file_that_is_not_a_receipt_is_made_again(self):
        Path("receipt.json").write_text("{}")
        assert "not a receipt" in why_stale(Path("receipt.json"), "mine", self.own())


def test_caches_of_a_saved_data_set_are_not_watched(tmp_path):
    for name in ("data-00000-of-00001.arrow", "cache-0123.arrow", "state.json"):
        (tmp_path / name).write_text("{}")
    entry = {"kind": "text", "version": "local", "source": {"type": "path", "path": str(tmp_path)}}
    assert [file.name for file in own_files(entry)[1]] == ["data-00000-of-00001.arrow", "state.json"]
