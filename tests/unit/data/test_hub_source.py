"""Data sets of the hub: a loading script is never run, and a library's message becomes one line."""

from __future__ import annotations

import datasets
import pytest

from sparse_attention.data.sources.common import SourceError
from sparse_attention.data.sources.hub import fetch_config


@pytest.mark.parametrize("name", ["own.py", "data.py"])
def test_a_loading_script_is_refused_and_not_run(name, tmp_path):
    folder = tmp_path / name.removesuffix(".py")
    folder.mkdir()
    (folder / name).write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    source = {"repo": str(folder), "config": "all", "revision": None}
    with pytest.raises(SourceError, match=rf"RuntimeError: Dataset scripts are no longer supported, but found {name}"):
        fetch_config(source, tmp_path / "out")
    assert not (tmp_path / "ran").exists()


def test_advice_to_run_foreign_code_is_left_out(monkeypatch, tmp_path):
    def fail(*_, **__):
        raise ValueError("The data are not there.\nSet `trust_remote_code=True` to go on.\nTry another revision.")

    monkeypatch.setattr(datasets, "load_dataset", fail)
    with pytest.raises(SourceError) as caught:
        fetch_config({"repo": "org/data", "config": "all", "revision": "main"}, tmp_path)
    assert str(caught.value) == "org/data at main: ValueError: The data are not there. Try another revision."
