"""Makes the tables in plotting/frames.py a fixture, and tiny encoders with a corpus."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from tiny_encoders import corpus, make_model, one_thread

__all__ = ["corpus", "make_model", "one_thread"]


@pytest.fixture(scope="session")
def frames() -> ModuleType:
    """Return the module plotting/frames.py: published tables of many predictors, made up."""
    spec = importlib.util.spec_from_file_location("frames", Path(__file__).parent / "plotting" / "frames.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
