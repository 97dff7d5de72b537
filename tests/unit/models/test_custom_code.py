"""Families are known without importing transformers."""

from __future__ import annotations

import subprocess
import sys

from transformers import CONFIG_MAPPING

from sparse_attention.jobs.plugins import LIBRARY
from sparse_attention.models.custom_code import known_families


def test_the_families_are_those_of_the_installed_transformers():
    assert not set(CONFIG_MAPPING) - known_families()
    assert "my-bert" not in known_families()


def test_transformers_is_not_imported():
    code = (
        "import sys; from sparse_attention.models.custom_code import known_families as f; "
        "assert f() and not {'transformers', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=LIBRARY.parent)
