"""What the machine lacks for a run is found before the first job."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from sparse_attention.files import room
from sparse_attention.settings import needs
from sparse_attention.settings.estimate import estimate
from sparse_attention.settings.plan import Plan

ROOT = Path(__file__).parents[3]
CONFIG = {"model_type": "bert", "num_hidden_layers": 6, "num_attention_heads": 12, "hidden_size": 384,
          "vocab_size": 30000, "max_position_embeddings": 512}  # fmt: skip


@pytest.fixture
def plan(tmp_path):
    """Return a plan of two runs of a model of the user's own, with changes to its extraction."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model/config.json").write_text(json.dumps(CONFIG))

    def made(**extraction):
        config = copy.deepcopy(yaml.safe_load((ROOT / "config/config.yaml").read_text(encoding="utf-8")))
        config |= {"model": "mine", "models": {"mine": {"path": str(tmp_path / "model")}}, "code": None}
        config |= {"seeds": [1, 2], "attentions": ["entmax~1.5"]}
        config["blocks"]["length"] = 100
        config["extract_qk"] |= {"examples": {"train": 30, "validation": 10}, "dtype": "float32"} | extraction
        return Plan(config, yaml.safe_load((ROOT / "config/datasets.yaml").read_text(encoding="utf-8")))

    return made


@pytest.fixture
def free(monkeypatch):
    """Return a function that sets the free bytes of every disk."""
    return lambda number: monkeypatch.setattr(room.shutil, "disk_usage", lambda _: SimpleNamespace(free=number))


def test_everything_that_is_not_there_yet_counts(plan, free, tmp_path):
    run = plan()
    needed = sum(estimate(run, tmp_path).missing.values())
    free(needed)
    assert needs.missing_disk(estimate(run, tmp_path), tmp_path) is None
    free(needed - 10**6)
    lacking = needs.missing_disk(estimate(run, tmp_path), tmp_path)
    assert "1 MB are missing" in lacking and "lower extract_qk.examples" in lacking and "\n" not in lacking
    assert needs.missing_disk(estimate(plan(dtype="float16"), tmp_path), tmp_path) is None


def test_what_is_extracted_already_does_not_count(plan, free, tmp_path):
    run = plan()
    free(sum(estimate(run, tmp_path).missing.values()) - 10**6)
    assert needs.missing_disk(estimate(run, tmp_path), tmp_path)
    for split in ("train", "validation"):
        store = tmp_path / f"results/qk/{run.config['corpus']}/mine/entmax~1.5/seed~1/{split}"
        store.mkdir(parents=True)
        (store / "qk.json").touch()
    assert needs.missing_disk(estimate(run, tmp_path), tmp_path) is None


def test_nothing_is_known_of_a_model_that_is_not_there(plan, free, tmp_path):
    run = plan()
    (tmp_path / "model/config.json").unlink()
    free(0)
    assert needs.missing_disk(estimate(run, tmp_path), tmp_path) is None


def test_the_rule_that_asks_for_most_memory_is_named():
    asked = {"prepare": 1000, "train_mlm": 6000, "train_classifier": 7000}
    assert needs.missing_memory(asked, 8000) is None
    lacking = needs.missing_memory(asked, 4000)
    assert "train_classifier may need 7000 MiB" in lacking and "3000 MiB are missing" in lacking


def test_an_estimate_that_fails_is_told_in_one_line(plan, monkeypatch):
    def fail(*_):
        raise OverflowError("too large\nfor a float")

    monkeypatch.setattr(needs, "estimate", fail)
    line, lacking = needs.forecast(plan())
    assert line.startswith("storage and time cannot be estimated: OverflowError") and "\n" not in line
    assert lacking is None
