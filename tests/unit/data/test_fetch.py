from __future__ import annotations

import hashlib
import json
import logging

import pytest

from file_server import Break
from sparse_attention.data.fetch import retrieve
from sparse_attention.data.registry import open_dataset
from sparse_attention.data.sources import hub as hub_source
from sparse_attention.data.sources import retrying
from sparse_attention.errors import InputError


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(retrying, "PAUSE", 0.0)


@pytest.fixture
def messages(caplog):
    """What is logged."""
    caplog.set_level(logging.INFO)
    return caplog


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def from_url(server, **files: bytes) -> dict:
    records = []
    for name, content in files.items():
        server.files[f"/data/{name}"] = content
        records.append({"path": name, "sha256": sha256(content), "size": len(content)})
    return {
        "kind": "text",
        "version": "1",
        "source": {"type": "url", "url": f"{server.url}/data"},
        "files": records,
    }


CONTENT = bytes(range(256)) * 2000


class TestUrl:
    def test_files_come_with_a_receipt_that_verifies(self, server, tmp_path):
        retrieve("toy", from_url(server, a=CONTENT, b=b"b"), tmp_path / "receipt.json")
        dataset = open_dataset(tmp_path / "receipt.json")
        assert [file.name for file in dataset.files] == ["a", "b"]
        assert dataset.files[0].read_bytes() == CONTENT
        assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "receipt.json"]

    def test_an_interrupted_download_is_resumed_where_it_stopped(self, server, tmp_path):
        entry = from_url(server, a=CONTENT)
        server.breaks["/data/a"] = Break(98_304)
        retrieve("toy", entry, tmp_path / "receipt.json")
        assert (tmp_path / "a").read_bytes() == CONTENT
        assert server.asked("/data/a") == [None, "bytes=98304-"]

    def test_a_run_that_was_killed_is_resumed_by_the_next(self, server, tmp_path, monkeypatch):
        entry = from_url(server, a=CONTENT)
        server.breaks["/data/a"] = Break(65_536)
        monkeypatch.setattr(retrying, "ATTEMPTS", 1)
        with pytest.raises(InputError):
            retrieve("toy", entry, tmp_path / "receipt.json")
        assert not (tmp_path / "a").exists()
        retrieve("toy", entry, tmp_path / "receipt.json")
        assert server.requests[-1].range == "bytes=65536-" and (tmp_path / "a").read_bytes() == CONTENT

    def test_a_server_without_ranges_starts_again(self, server, tmp_path):
        entry = from_url(server, a=CONTENT)
        server.ranges = False
        server.breaks["/data/a"] = Break(1000)
        retrieve("toy", entry, tmp_path / "receipt.json")
        assert (tmp_path / "a").read_bytes() == CONTENT

    def test_good_files_are_not_fetched_again(self, server, tmp_path):
        entry = from_url(server, a=CONTENT, b=b"b")
        retrieve("toy", entry, tmp_path / "receipt.json")
        (tmp_path / "receipt.json").unlink()
        (tmp_path / "b").write_bytes(b"c")
        server.requests.clear()
        retrieve("toy", entry, tmp_path / "receipt.json")
        assert [request.path for request in server.requests] == ["/data/b"]
        assert (tmp_path / "b").read_bytes() == b"b"

    def test_requests_to_busy_servers_are_repeated(self, server, tmp_path):
        entry = from_url(server, a=b"a")
        server.failures["/data/a"] = [503, 429]
        retrieve("toy", entry, tmp_path / "receipt.json")
        assert len(server.requests) == 3

    def test_a_partial_file_longer_than_the_file_is_deleted(self, server, tmp_path):
        entry = from_url(server, a=b"abc")
        (tmp_path / ".download").mkdir()
        (tmp_path / ".download" / "a.part").write_bytes(b"something longer")
        retrieve("toy", entry, tmp_path / "receipt.json")
        assert (tmp_path / "a").read_bytes() == b"abc"

    def test_a_failure_says_what_to_fetch_and_where_to_put_it(self, server, tmp_path):
        entry = from_url(server, a=b"abc", b=b"b")
        del server.files["/data/a"]
        with pytest.raises(InputError) as error:
            retrieve("toy", entry, tmp_path / "receipt.json")
        text = str(error.value)
        assert "404" in text and f"download {server.url}/data/a" in text
        assert f"put it at {tmp_path / 'a'} (sha256 {sha256(b'abc')}, 3 bytes)" in text
        assert len(server.requests) == 1
        # what the text promises: the file dropped there is taken
        (tmp_path / "a").write_bytes(b"abc")
        retrieve("toy", entry, tmp_path / "receipt.json")
        assert len(open_dataset(tmp_path / "receipt.json").files) == 2

    def test_a_wrong_file_put_there_by_hand_is_reported_with_both_checksums(self, server, tmp_path):
        entry = from_url(server, a=b"abc")
        del server.files["/data/a"]
        (tmp_path / "a").write_bytes(b"abd")
        with pytest.raises(InputError, match=f"expected sha256 {sha256(b'abc')}, found {sha256(b'abd')}"):
            retrieve("toy", entry, tmp_path / "receipt.json")

    def test_a_wrong_checksum_names_file_expected_and_found(self, server, tmp_path):
        entry = from_url(server, a=b"abc")
        server.files["/data/a"] = b"abd"
        with pytest.raises(InputError, match=f"toy: a .*expected sha256 {sha256(b'abc')}, found {sha256(b'abd')}"):
            retrieve("toy", entry, tmp_path / "receipt.json")
        assert not (tmp_path / "a").exists() and not (tmp_path / "receipt.json").exists()

    def test_a_file_without_a_checksum_is_used_and_its_checksum_logged(self, server, tmp_path, messages):
        entry = from_url(server, a=b"abc")
        del entry["files"][0]["sha256"]
        retrieve("toy", entry, tmp_path / "receipt.json")
        assert sha256(b"abc") in messages.text

    def test_passwords_in_addresses_are_not_shown(self, tmp_path, messages):
        source = {"type": "url", "url": "http://user:secret@127.0.0.1:9/data"}
        entry = {"kind": "text", "version": "1", "source": source, "files": [{"path": "a"}]}
        with pytest.raises(InputError) as error:
            retrieve("toy", entry, tmp_path / "receipt.json")
        assert "secret" not in str(error.value) + messages.text and "127.0.0.1:9/data/a" in str(error.value)


class TestWheel:
    def entry(self, content: bytes = b"hello", path: str = "toy_data/inner/text.txt", version: str = "1.0") -> dict:
        source = {"type": "wheel", "package": "toy-data", "version": version, "platform": "any", "python": "3.11"}
        files = [{"path": path, "name": "renamed.txt", "sha256": sha256(content)}]
        return {"kind": "text", "version": "1", "source": source, "files": files}

    def test_only_the_named_file_is_kept(self, package_index, tmp_path):
        retrieve("toy", self.entry(), tmp_path / "data" / "receipt.json")
        assert open_dataset(tmp_path / "data/receipt.json").files[0].read_text() == "hello"
        assert sorted(path.name for path in (tmp_path / "data").iterdir()) == ["receipt.json", "renamed.txt"]
        for wheel in package_index.iterdir():
            wheel.unlink()
        retrieve("toy", self.entry(), tmp_path / "data" / "receipt.json")

    def test_the_error_for_a_missing_package_says_how_to_get_it_by_hand(self, package_index, tmp_path):
        with pytest.raises(InputError) as error:
            retrieve("toy", self.entry(version="2.0"), tmp_path / "data" / "receipt.json")
        text = str(error.value)
        assert "No matching distribution found for toy-data==2.0" in text
        assert "pip download --no-deps --only-binary=:all: --platform=any --python-version=3.11 toy-data==2.0" in text
        assert f"put it at {tmp_path / 'data' / 'renamed.txt'}" in text

    def test_a_path_that_is_not_in_the_wheel_is_reported(self, package_index, tmp_path):
        with pytest.raises(InputError, match=r"toy_data-1\.0-py3-none-any\.whl has no file 'toy_data/none'"):
            retrieve("toy", self.entry(path="toy_data/none"), tmp_path / "data" / "receipt.json")

    def test_a_wrong_checksum_is_refused(self, package_index, tmp_path):
        with pytest.raises(InputError, match="expected sha256"):
            retrieve("toy", self.entry(content=b"other"), tmp_path / "data" / "receipt.json")


class TestWheels:
    def entry(self, content: bytes, name: str = "toy_data-1.0-py3-none-any.whl") -> dict:
        files = [{"path": name, "sha256": sha256(content)}]
        return {"kind": "code", "version": "1", "source": {"type": "wheels", "python": "3.11"}, "files": files}

    def test_the_whole_wheel_is_kept(self, package_index, tmp_path):
        content = (package_index / "toy_data-1.0-py3-none-any.whl").read_bytes()
        retrieve("toy", self.entry(content), tmp_path / "data" / "receipt.json")
        (wheel,) = open_dataset(tmp_path / "data/receipt.json").files
        assert (wheel.name, wheel.read_bytes()) == ("toy_data-1.0-py3-none-any.whl", content)

    def test_the_error_for_a_missing_wheel_says_how_to_get_it_by_hand(self, package_index, tmp_path):
        with pytest.raises(InputError) as error:
            retrieve("toy", self.entry(b"", "toy_data-2.0-py3-none-any.whl"), tmp_path / "data" / "receipt.json")
        text = str(error.value)
        assert "pip download --no-deps --only-binary=:all: --platform=any --python-version=3.11 toy-data==2.0" in text
        assert f"put it at {tmp_path / 'data' / 'toy_data-2.0-py3-none-any.whl'}" in text

    def test_a_name_that_no_wheel_has_is_refused(self, package_index, tmp_path):
        with pytest.raises(InputError, match="toy.zip: is not the name of a wheel; allowed: name-version"):
            retrieve("toy", self.entry(b"", "toy.zip"), tmp_path / "data" / "receipt.json")


class TestHub:
    def entry(self, **changes: object) -> dict:
        source = {"type": "hub", "repo": "org/tiny", "revision": "main", **changes}
        return {"kind": "model", "version": "1", "source": source}

    def test_the_commit_of_a_snapshot_is_recorded(self, hub, tmp_path):
        retrieve("tiny", self.entry(), tmp_path / "receipt.json")
        dataset = open_dataset(tmp_path / "receipt.json")
        assert [file.name for file in dataset.files] == ["README.md", "config.json", "model.safetensors"]
        assert dataset.receipt["source"]["commit"] == "0123456789abcdef0123456789abcdef01234567"
        assert not (tmp_path / ".download").exists()

    def test_named_files_and_patterns_choose(self, hub, tmp_path):
        named = self.entry() | {"files": [{"path": "config.json"}]}
        retrieve("tiny", named, tmp_path / "a" / "receipt.json")
        retrieve("tiny", self.entry(patterns=["*.json", "*.md"]), tmp_path / "b" / "receipt.json")
        assert [file.name for file in open_dataset(tmp_path / "a/receipt.json").files] == ["config.json"]
        assert [file.name for file in open_dataset(tmp_path / "b/receipt.json").files] == ["README.md", "config.json"]

    def test_files_that_are_there_are_not_looked_up_on_the_hub(self, hub, tmp_path):
        entry = self.entry() | {"files": [{"path": "config.json"}, {"path": "model.safetensors"}]}
        retrieve("tiny", entry, tmp_path / "receipt.json")
        hub.requests.clear()
        retrieve("tiny", entry, tmp_path / "receipt.json")
        assert not hub.requests

    def test_a_file_missing_in_the_repository_is_reported(self, hub, tmp_path):
        with pytest.raises(InputError, match=r"org/tiny at main does not contain vocab\.txt"):
            retrieve("tiny", self.entry() | {"files": [{"path": "vocab.txt"}]}, tmp_path / "receipt.json")
        with pytest.raises(InputError, match=r"does not contain anything like \*\.bin"):
            retrieve("tiny", self.entry(patterns=["*.bin"]), tmp_path / "receipt.json")

    def test_a_configuration_is_stored_as_parquet(self, tmp_path, monkeypatch):
        (tmp_path / "repo").mkdir()
        (tmp_path / "repo" / "train.jsonl").write_text('{"text": "a"}\n{"text": "b"}\n')
        monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
        source = {"type": "hub", "repo": str(tmp_path / "repo"), "revision": None, "config": "default"}
        (tmp_path / "out").mkdir()
        assert hub_source.fetch_config(source, tmp_path / "out") == ["train.parquet"]
        assert (tmp_path / "out" / "train.parquet").is_file()


class TestPath:
    def entry(self, path: object, kind: str = "text") -> dict:
        return {"kind": kind, "version": "local", "source": {"type": "path", "path": str(path)}}

    @pytest.fixture
    def folder(self, tmp_path):
        for name in ("in/b.txt", "in/a.txt", "in/sub/c.txt", "in/.hidden/d.txt"):
            file = tmp_path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(name)
        return tmp_path

    @pytest.mark.parametrize(
        ("path", "names"),
        [("in/a.txt", ["a.txt"]), ("in", ["a.txt", "b.txt", "c.txt"]), ("in/**/*.txt", ["a.txt", "b.txt", "c.txt"])],
        ids=["file", "folder", "glob"],
    )
    def test_nothing_is_copied(self, folder, path, names):
        receipt = folder / "out" / "receipt.json"
        retrieve("mine", self.entry(folder / path), receipt)
        dataset = open_dataset(receipt)
        assert [file.name for file in dataset.files] == names
        assert dataset.root == folder / "in" and [file.name for file in receipt.parent.iterdir()] == ["receipt.json"]

    @pytest.mark.parametrize(
        ("kind", "names"),
        [("text", ["a.txt", "b.txt", "c.txt"]), ("clusters", ["a.txt", "b.txt", "latest.txt", "c.txt"])],
    )
    def test_a_text_with_two_names_is_read_once_with_a_warning(self, folder, messages, kind, names):
        (folder / "in/latest.txt").symlink_to("b.txt")
        retrieve("mine", self.entry(folder / "in", kind), folder / "receipt.json")
        assert [file.name for file in open_dataset(folder / "receipt.json").files] == names
        warned = f"{folder}/in/latest.txt is the same file as {folder}/in/b.txt: it is read only once" in messages.text
        assert warned == (kind == "text")

    def test_relative_paths_start_at_the_working_folder(self, folder, monkeypatch):
        monkeypatch.chdir(folder)
        receipt = folder / "resources/x/receipt.json"
        retrieve("mine", self.entry("in"), receipt)
        assert json.loads(receipt.read_text())["root"] == "../../in"
        assert open_dataset(receipt).files[0].read_text() == "in/a.txt"

    @pytest.mark.parametrize("path", ["none.txt", "*.none"])
    def test_a_missing_path_is_reported(self, folder, path):
        with pytest.raises(InputError, match=r"no such file or folder|matches no file|contains no file"):
            retrieve("mine", self.entry(folder / path), folder / "receipt.json")

    def test_a_folder_without_a_model_is_refused(self, folder):
        with pytest.raises(InputError, match=r"config\.json is missing"):
            retrieve("mine", self.entry(folder / "in", kind="model"), folder / "receipt.json")
