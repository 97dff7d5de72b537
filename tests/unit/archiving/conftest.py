from __future__ import annotations

from pathlib import Path

import pytest

from archived_runs import OUTPUTS, ROOT, make_results
from sparse_attention.archiving.packing import pack


@pytest.fixture
def run(tmp_path):
    """A folder with the results of a made-up run."""
    make_results(tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def packed(run, tmp_path):
    """Return a function that packs stages of the run into a bundle of a name."""

    def make(name: str, *stages: str) -> Path:
        pack(tmp_path / name, OUTPUTS, stages, run, ROOT)
        return tmp_path / name

    return make
