from __future__ import annotations

from pathlib import Path

import pytest

from archived_runs import OUTPUTS, ROOT
from sparse_attention.archiving.bundle import Bundle
from sparse_attention.archiving.packing import pack
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
