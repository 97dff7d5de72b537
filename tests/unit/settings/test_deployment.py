"""A missing conda is told before any job."""

from __future__ import annotations

import pytest

from sparse_attention.settings.deployment import why_no_conda


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """Return a function that makes programs; no others are on the path."""
    monkeypatch.setenv("PATH", str(tmp_path))

    def make(*names):
        for name in names:
            (tmp_path / name).touch(mode=0o755)

    return make


@pytest.mark.parametrize(
    ("methods", "installed", "reason"),
    [
        ([], [], None),
        (["conda"], ["conda"], None),
        (["apptainer", "conda"], [], None),
        (["conda"], [], "conda is not on the path; install Miniforge"),
        (["conda"], ["micromamba"], "conda is not on the path (micromamba is, but Snakemake calls conda); install"),
    ],
    ids=["not-asked", "there", "in-image", "missing", "relative"],
)
def test_the_reason_is_given(methods, installed, reason, programs):
    programs(*installed)
    found = why_no_conda(methods)
    assert found is None if reason is None else reason in found


def test_a_function_of_the_shell_counts(programs, monkeypatch):
    monkeypatch.setenv("BASH_FUNC_conda%%", "() { true; }")
    assert why_no_conda(["conda"]) is None
