"""A disk without enough room is noticed before anything is written, with the numbers."""

from __future__ import annotations

import shutil
from types import SimpleNamespace

import pytest

from sparse_attention.errors import InputError
from sparse_attention.files import room


@pytest.fixture
def free(monkeypatch):
    """Return a function that sets the free bytes of every disk."""
    return lambda number: monkeypatch.setattr(room.shutil, "disk_usage", lambda _: SimpleNamespace(free=number))


def test_what_fits_is_no_problem(free, tmp_path):
    free(1000)
    assert room.shortage(tmp_path, 1000) is None
    room.require_room(tmp_path, 1000, "write less")


def test_the_message_has_needed_free_and_missing(free, tmp_path):
    free(1_500_000_000)
    with pytest.raises(InputError) as caught:
        room.require_room(tmp_path, 4_000_000_000, "write less")
    assert str(caught.value) == (
        f"the disk is too small: 4 GB are needed in {tmp_path}, but 1.5 GB are free: 2.5 GB are missing; "
        "free some space, or write less"
    )


def test_the_disk_of_a_folder_that_is_not_there_yet_counts(tmp_path):
    free = shutil.disk_usage(tmp_path).free
    assert room.shortage(tmp_path / "a/b", free // 2) is None
    assert room.shortage(tmp_path / "a/b", free * 2)


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1 kB"), (999_600, "1 MB"), (5e15, "5e+03 TB")],
    ids=["none", "bytes", "kilo", "rounded up", "more than tera"],
)
def test_sizes_have_three_digits(number, text):
    assert room.size(number) == text


def test_a_disk_that_cannot_be_asked_is_no_problem(monkeypatch, tmp_path):
    def fail(_):
        raise PermissionError

    monkeypatch.setattr(room.shutil, "disk_usage", fail)
    assert room.shortage(tmp_path, 10**20) is None
