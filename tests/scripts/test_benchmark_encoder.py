"""The benchmark of an encoder runs, and keeps about the share of blocks that it is asked for."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "encoder.py"


def test_every_length_has_a_row_for_each_attention(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    spec = importlib.util.spec_from_file_location("benchmark_encoder", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    small = ["--layers", "2", "--heads", "2", "--dim", "8", "--threads", "1", "--repeats", "1"]
    options = ["--lengths", "128", "640", "--kept", "0.3", "--methods", "window", "strided"]
    file = tmp_path / "rows.json"
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), *small, *options, "--json", str(file)])
    module.main()
    rows = json.loads(file.read_text())["rows"]
    methods = ["dense softmax", "dense entmax", "entmax, window", "entmax, strided"]
    assert [(row["length"], row["method"]) for row in rows] == [(n, name) for n in (128, 640) for name in methods]
    assert all(row["tokens_per_s"] > 0 and row["times"] > 0 for row in rows)
    assert rows[6]["kept"] == pytest.approx(0.3, abs=0.1) and rows[5]["kept"] == 1
