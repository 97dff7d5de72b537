from __future__ import annotations

import errno
import zipfile
from pathlib import Path

import pytest

from archived_runs import OUTPUTS, ROOT
from sparse_attention.archiving import packing
from sparse_attention.archiving.bundle import Bundle
from sparse_attention.archiving.packing import pack
from sparse_attention.archiving.targets import BESIDE
from sparse_attention.errors import InputError

ALLOWED = "allowed: the name of a new file or folder, or that of an earlier bundle"


def refused(run, target, message):
    """Check that packing into a place is refused in one line, and that no file is changed."""
    before = {path: path.read_bytes() for path in run.parent.rglob("*") if path.is_file()}
    with pytest.raises(InputError, match=f"^--output: {target} {message}") as caught:
        pack(Path(target), OUTPUTS, ["tables"], run, ROOT)
    assert "\n" not in str(caught.value) and ALLOWED in str(caught.value)
    assert {path: path.read_bytes() for path in run.parent.rglob("*") if path.is_file()} == before


@pytest.fixture
def inside(run, monkeypatch):
    """Make the folder of the run the working directory."""
    monkeypatch.chdir(run)
    return run


def test_a_folder_with_files_of_the_user_is_left_alone(inside):
    (inside / "notes").mkdir()
    (inside / "notes/thesis.tex").write_text("mine")
    refused(inside, "notes", r"is a folder that holds thesis\.tex, which is of no earlier bundle")


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("results", "is the place of the result results/"),
        ("results/tables", "is the place of the result results/tables/"),
        ("results/qk/wiki/small/entmax~1.5/seed~1/train/new", "is the place of the result results/qk/"),
        (".", "holds the folder /"),
        ("..", "holds the folder /"),
    ],
)
def test_a_bundle_does_not_replace_the_run(inside, target, message):
    refused(inside, target, message)


def test_an_earlier_bundle_is_replaced_but_not_what_a_user_added_to_it(inside):
    for place in "made", "results/archive/made":
        for _ in range(2):
            pack(Path(place), OUTPUTS, ["tables"], inside, ROOT)
        assert Bundle(Path(place)).stages == ["tables"]
    Path("made/notes.txt").write_text("mine")
    refused(inside, "made", r"is a folder that holds notes\.txt")


def test_an_empty_folder_is_filled(inside):
    Path("empty").mkdir()
    pack(Path("empty"), OUTPUTS, ["tables"], inside, ROOT)
    assert Bundle(Path("empty")).stages == ["tables"]


def test_a_folder_with_a_damaged_index_is_left_alone(inside):
    Path("odd").mkdir()
    Path("odd/bundle.json").write_text("{")
    refused(inside, "odd", "is not an earlier bundle")


@pytest.mark.parametrize("name", ["file", "dir.zip"])
def test_a_file_does_not_become_a_folder_nor_a_folder_a_file(inside, name):
    Path(name).touch() if name == "file" else Path(name).mkdir()
    refused(inside, name, "is a ")


@pytest.mark.parametrize("name", BESIDE)
def test_files_of_the_user_are_not_replaced_by_what_stands_beside_a_bundle(inside, name):
    Path(name).write_text("mine")
    with pytest.raises(InputError, match=rf"^--output: bundle\.zip would replace {name}, .*; allowed: a place in"):
        pack(Path("bundle.zip"), OUTPUTS, ["tables"], inside, ROOT)
    assert Path(name).read_text() == "mine" and not Path("bundle.zip").exists()


def test_what_stands_beside_an_earlier_bundle_is_replaced_with_it(inside):
    pack(Path("bundle.zip"), OUTPUTS, ["tables"], inside, ROOT)
    first = Path("README.md").read_bytes()
    pack(Path("bundle.zip"), OUTPUTS, ["figures"], inside, ROOT)
    assert Path("README.md").read_bytes() != first


def test_a_zip_file_of_another_origin_is_left_alone(inside):
    Path("thesis.zip").write_bytes(b"mine")
    refused(inside, "thesis.zip", r"is not an earlier bundle \(thesis\.zip: not a bundle")


@pytest.mark.parametrize("target", ["file/one.zip", "/proc/one.zip", "/proc/one", "x" * 300 + ".zip"], ids=ascii)
def test_a_place_that_cannot_be_written_is_refused_before_anything_is_read(inside, target):
    Path("file").touch()
    refused(inside, target, r"cannot be written \(")


def test_a_full_disk_is_one_line_and_leaves_the_earlier_bundle(inside, monkeypatch):
    pack(Path("bundle.zip"), OUTPUTS, ["tables"], inside, ROOT)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(packing, "write", full)
    refused(inside, "bundle.zip", r"cannot be written \(No space left on device\)")


def test_a_name_in_capitals_is_that_of_a_zip_file_too(inside):
    pack(Path("new/B.ZIP"), OUTPUTS, ["tables"], inside, ROOT)
    assert zipfile.is_zipfile("new/B.ZIP") and Path("new/README.md").is_file()
