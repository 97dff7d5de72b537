"""Places that cannot be written are named in one line."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest


@pytest.fixture
def read_only(checkout, tmp_path):
    """Return a copy of the repository on a file system that cannot be written."""
    folder = tmp_path / "mounted"
    folder.mkdir()
    if os.geteuid() or not shutil.which("mount"):
        pytest.skip("only root can mount a file system")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100m", "tmpfs", folder], capture_output=True).returncode:
        pytest.skip("this machine lets nobody mount a file system")
    copy = checkout.copy(folder / "checkout")
    subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
    yield copy
    subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_folder_that_cannot_be_written_is_named(read_only):
    run = read_only.snakemake()
    assert run.returncode == 1 and "Traceback" not in run.stderr
    (line,) = [line for line in run.stderr.splitlines() if str(read_only.folder) in line]
    assert line.startswith(f"{read_only.folder}: the folder cannot be written; run a copy of the workflow")
