from __future__ import annotations

import psutil

from sparse_attention.settings import machine


def test_a_limit_of_the_container_counts(tmp_path, monkeypatch):
    whole = machine.memory()
    for text, expected in (("1048576", 2**20), ("max", psutil.virtual_memory().total)):
        (tmp_path / "limit").write_text(text)
        monkeypatch.setattr(machine, "CGROUP", tmp_path / "limit")
        assert machine.memory() == expected
    assert whole <= expected
