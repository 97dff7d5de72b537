"""The storage and the time of a run are estimated before it starts."""

from __future__ import annotations

import math

import pytest
import torch

from plans import plan, read
from sparse_attention.qk.gold import GoldWriter, gold_of
from sparse_attention.qk.store import QKInfo, QKReader, QKWriter
from sparse_attention.settings import sizes as module
from sparse_attention.settings.durations import durations
from sparse_attention.settings.estimate import estimate
from sparse_attention.settings.plan import Plan
from sparse_attention.settings.rates import rates
from sparse_attention.settings.sizes import Sizes
from sparse_attention.settings.storage import gold_bytes, qk_bytes, storage

MODEL = Sizes(layers=2, heads=3, head_dim=8, vocabulary=100, positions=64)
PRESETS = ("study.yaml", "paper.yaml")


def test_the_bytes_of_a_small_run_are_those_computed_by_hand():
    own = plan(
        seeds=[1, 2], attentions=["entmax~1.5", "softmax"], code=None, blocks__length=20,
        extract_qk__examples={"train": 5, "validation": 3}, extract_qk__dtype="float16",
        projections=[{"kind": "linear", "dim": 4, "shared": False}],
        predictors={"window": {"width": [1, 3]}, "kmeans": {"clusters": [4, 6], "runs": 1, "top": 1}},
        evaluate={"windows": [0, 3], "keep": ["none"]},
        evaluate_sparse_mlm=None, finetune_sparse_mlm=None, export_sparse_model=None,
    )  # fmt: skip
    found = storage(own, MODEL, None)
    # two seeds, queries and keys, two bytes, layers, hidden size, tokens, examples
    assert found["qk"] == 2 * 2 * 2 * 2 * 24 * 20 * (5 + 3)
    # for each seed: rows of three bytes, and four bytes for 2 % of the pairs
    rows = (5 + 3) * 2 * 3 * 20
    assert found["gold"] == pytest.approx(2 * (rows * 3 + 4 * rows * 20 * 0.02), abs=8)
    # two seeds of two attentions, four bytes: embeddings, and twelve maps of a layer
    assert found["models"] == 4 * 4 * (24 * (100 + 64) + 2 * 12 * 24 * 24)
    # two seeds, four bytes, layers, heads, maps of queries and of keys
    assert found["projections"] == 2 * 4 * 2 * 3 * 2 * (8 * 4)
    # two seeds, twice float64 and once float32, layers, heads, clusters of both clusterings, dim
    assert found["centroids"] == 2 * 20 * 2 * 3 * (4 + 6) * 4
    # two seeds, points at two windows, layers, heads
    assert found["predictors"] == 2 * (2 + 2) * 2 * 2 * 3 * rates().bytes["row"]
    assert found["tables"] == (2 + 2) * 2 * 2 * 3 * rates().bytes["published_row"] + rates().bytes["other"]
    assert "pruning" not in found and found["sparse_mlm"] == found["sparse_models"] == 0


def test_queries_keys_and_gold_support_take_the_room_that_is_estimated(tmp_path):
    length, examples = 48, 6
    own = plan(blocks__length=length, extract_qk__examples={"train": examples, "validation": 1})
    documents = tuple(map(str, range(examples)))
    info = QKInfo(MODEL.layers, MODEL.heads, MODEL.head_dim, (length,) * examples, (length,) * examples, documents)
    generator = torch.Generator().manual_seed(0)
    with QKWriter(tmp_path / "qk", info) as writer:
        for layer in range(info.layers):
            for index in range(examples):
                vectors = torch.randn(2, MODEL.heads, length, MODEL.head_dim, generator=generator)
                writer.write(layer, index, *(8 * vectors))
    written = sum(path.stat().st_size for path in (tmp_path / "qk").glob("*.safetensors"))
    assert written == pytest.approx(qk_bytes(own, MODEL, "train"), rel=0.05)

    kept = 0
    reader = QKReader(tmp_path / "qk")
    with GoldWriter(tmp_path / "gold", info) as writer:
        for layer in range(info.layers):
            for example in reader.examples(layer):
                gold = gold_of(example, 1.5)
                kept += int(gold.support.sum())
                writer.write(layer, example, gold)
    pairs = examples * MODEL.layers * MODEL.heads * length**2
    written = sum(path.stat().st_size for path in (tmp_path / "gold").glob("*.safetensors"))
    # the estimate knows only the usual sparsity
    estimated = gold_bytes(own, MODEL, "train") + 4 * (kept - pairs * (1 - rates().sparsity))
    assert written == pytest.approx(estimated, rel=0.05)


GROWING = {
    "examples": {"extract_qk__examples": {"train": 640, "validation": 320}},
    "length": {"blocks__length": 512},
    "seeds": {"seeds": [1, 2]},
    "steps": {"train_mlm__steps": 1500},
    "functions": {"prepare_code__max_functions": {"train": 12000, "validation": 400, "test": 8000}},
    "epochs of a pruning": {"prune_hard__epochs": 3},
    "points": {
        "predictors": {**read("config.yaml")["predictors"], "cos": {"threshold": [i / 100 for i in range(200)]}}
    },
}


@pytest.mark.parametrize("changes", GROWING.values(), ids=GROWING)
def test_a_larger_run_takes_longer_and_no_less_room(changes):
    least, more = (
        (sum(durations(own, MODEL, MODEL).values()), sum(storage(own, MODEL, MODEL).values()))
        for own in (plan(), plan(**changes))
    )
    assert more[0] > least[0] and more[1] >= least[1]


def test_a_larger_model_takes_longer_and_more_room():
    large = Sizes(layers=4, heads=3, head_dim=16, vocabulary=100, positions=64)
    for total in (durations, storage):
        small, larger = (total(plan(), sizes, sizes) for sizes in (MODEL, large))
        assert sum(larger.values()) > sum(small.values())


def test_the_default_run_takes_what_its_measurement_took(tmp_path):
    """The rates were measured in this run, so its parts come out again; the tolerance is that of rounded rates."""
    found = estimate(plan(), tmp_path)
    measured = {"train_classifier": 501, "prune_soft": 154, "evaluate_predictor": 272, "evaluate_sparse_mlm": 290,
                "gold_support": 17, "fit_projections": 12, "analyse_buckets": 91, "extract_qk": 16}  # fmt: skip
    for rule, seconds in measured.items():
        assert found.seconds[rule] == pytest.approx(seconds, rel=0.15), rule
    assert found.bytes["qk"] == pytest.approx(453.0e6, rel=0.05)
    assert found.bytes["gold"] == pytest.approx(92.2e6, rel=0.05)
    assert found.bytes["models"] == pytest.approx(2 * 91.0e6, rel=0.05)
    assert found.bytes["predictors"] == pytest.approx(14.76e6, rel=0.05)
    assert found.bytes["pruning"] == pytest.approx(278.8e6, rel=0.05)


def test_what_exists_is_not_missing(tmp_path):
    own = plan(code=None)
    before = estimate(own, tmp_path)
    model = tmp_path / "results/models/wiki-2016/minilm-l6/softmax/seed~1/model"
    model.mkdir(parents=True)
    after = estimate(own, tmp_path)
    assert before.missing == before.bytes == after.bytes
    assert after.missing["models"] == before.missing["models"] // 2


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_is_estimated_before_its_models_are_there(preset, tmp_path):
    found = estimate(plan(read(preset)), tmp_path)
    assert found.unknown == () and min(found.bytes.values()) >= 0 and all(map(math.isfinite, found.seconds.values()))
    assert "in results/ and" in found.line and "\n" not in found.line


def test_no_time_is_given_for_a_gpu(tmp_path):
    assert "the time on a GPU is not known" in estimate(plan(device="cuda"), tmp_path).line
    assert "GPU" not in estimate(plan(device="cpu"), tmp_path).line


def test_an_unlisted_model_is_unknown_until_it_is_retrieved(tmp_path):
    datasets = read("datasets.yaml")
    del datasets["all-minilm-l6-v2"]["dimensions"]
    found = estimate(Plan(read("config.yaml"), datasets), tmp_path)
    assert found.bytes == found.seconds == {}
    assert found.line == "unknown until all-minilm-l6-v2 is retrieved: what its jobs need"


def test_a_dump_is_not_estimated(tmp_path):
    line = estimate(plan(code=None, extract_qk__source="dump.pt"), tmp_path).line
    assert line == "what is made from the dump is not counted"
    assert estimate(plan(extract_qk__source="dump.pt"), tmp_path).line.endswith(
        "; what is made from the dump is not counted"
    )


def test_functions_without_a_limit_are_said_not_to_be_counted(tmp_path):
    free = {"prepare_code__max_functions": {"train": None, "validation": 400, "test": None}}
    keys = "(prepare_code.max_functions.train and prepare_code.max_functions.test)"
    assert estimate(plan(**free), tmp_path).line.endswith(f"; functions without a limit are not counted {keys}")
    for line in (estimate(plan(), tmp_path).line, estimate(plan(code=None, **free), tmp_path).line):
        assert "functions" not in line


def test_a_pruned_data_set_that_is_not_written_takes_no_room(tmp_path):
    with_export, without = (estimate(plan(**changes), tmp_path) for changes in ({}, {"export_pruned": None}))
    assert without.bytes["pruning"] < with_export.bytes["pruning"]


def test_a_trained_classifier_keeps_its_own_layers(tmp_path, monkeypatch):
    own = Sizes(layers=12, heads=12, head_dim=32, vocabulary=30522, positions=512)
    monkeypatch.setattr("sparse_attention.settings.estimate.sizes_of", lambda *_: own)
    made, trained = (estimate(plan(**changes), tmp_path) for changes in ({}, {"train_classifier__source": "mine"}))
    assert trained.bytes["pruning"] > 1.5 * made.bytes["pruning"]
    assert trained.seconds["prune_soft"] > 2 * made.seconds["prune_soft"]


def test_dimensions_change_nothing_that_is_retrieved():
    source = plan().model
    assert "dimensions" in source.entry
    assert source.retrieved == {name: value for name, value in source.entry.items() if name != "dimensions"}


def test_the_sizes_of_a_folder_come_before_those_of_the_registry(tmp_path, monkeypatch):
    source = plan().model
    assert module.sizes_of(source, tmp_path) == Sizes(6, 12, 32, 30522, 512)
    found = module.Limits("own", "bert", 3, 2, None, 4, None, None, ())
    monkeypatch.setattr(module, "_limits", lambda *_: found)
    assert module.sizes_of(source, tmp_path) == Sizes(3, 2, 4)
