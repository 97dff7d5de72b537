from __future__ import annotations

import os
from pathlib import Path

import pytest

from sparse_attention.jobs import caches


@pytest.fixture
def environment(monkeypatch):
    """Return a setter of variables; those that the module knows are unset, and set back afterwards."""
    for name in caches.VARIABLES:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    return monkeypatch


@pytest.mark.parametrize("home", ["/dev/null/x", "/proc/nonexistent", "/nonexistent", "relative"])
def test_libraries_get_a_cache_folder_without_a_home_folder(environment, tmp_path, home):
    environment.setenv("HOME", home)
    environment.chdir(tmp_path)
    caches.provide()
    assert Path(os.environ["XDG_CACHE_HOME"]) == tmp_path / ".snakemake/cache"
    assert Path(os.environ["MPLCONFIGDIR"]) == tmp_path / ".snakemake/cache/matplotlib"
    assert not (tmp_path / "relative").exists()


def test_variables_that_are_set_stay(environment, tmp_path):
    environment.setenv("HOME", "/dev/null/x")
    environment.setenv("MPLCONFIGDIR", "/mine")
    caches.provide(tmp_path)
    assert os.environ["MPLCONFIGDIR"] == "/mine" and os.environ["TRITON_CACHE_DIR"] == str(tmp_path / "triton")


def test_nothing_changes_when_the_home_folder_can_be_written(environment, tmp_path):
    environment.setenv("HOME", str(tmp_path))
    caches.provide()
    assert not set(caches.VARIABLES) & set(os.environ) and not list(tmp_path.iterdir())
