"""Folders that Snakemake cannot use are named, with the reason."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sparse_attention.settings.folders import why_read_only, why_unusable


@pytest.mark.parametrize(
    ("name", "reason"),
    [("plain folder", None), ("a{b", "has braces"), ("a}b", "has braces"), (os.fsdecode(b"\xff"), "not UTF-8")],
    ids=["plain", "opening brace", "closing brace", "bytes"],
)
def test_the_reason_is_given(name, reason):
    found = why_unusable(Path("/data") / name)
    assert found is None if reason is None else reason in found


def test_a_folder_that_can_be_written_is_fine(tmp_path):
    assert why_read_only(tmp_path) is None


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="Linux only")
def test_a_folder_that_cannot_be_written_is_named():
    assert why_read_only(Path("/proc/self")).startswith("/proc/self: the folder cannot be written")
