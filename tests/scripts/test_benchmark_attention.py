"""The benchmark of attention runs on every source, and writes its columns; its times are not looked at."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import BertConfig, BertForMaskedLM, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from sparse_attention.errors import InputError
from sparse_attention.models.attention import NAME, observed
from sparse_attention.qk.store import QKInfo, QKWriter

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "attention.py"
COLUMNS = {
    "length", "source", "method", "computed", "block", "asked", "kept", "order", "predict_ms", "build_ms",
    "attend_ms", "total_ms", "sdpa_ms", "speedup", "peak_mib",
}  # fmt: skip
SMALL = ["--kept", "0.3", "--block-sizes", "16", "--threads", "1", "--repeats", "1", "--attentions", "entmax"]


@pytest.fixture
def script(monkeypatch):
    """Return the module of the script."""
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    spec = importlib.util.spec_from_file_location("benchmark_attention", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def run(script, monkeypatch, tmp_path):
    """Return a function that runs the script and gives its rows."""

    def call(*options):
        file = tmp_path / "rows.json"
        monkeypatch.setattr(sys, "argv", [str(SCRIPT), *SMALL, *map(str, options), "--json", str(file)])
        script.main()
        content = json.loads(file.read_text())
        assert {"threads", "torch", "machine", "kernel"} <= set(content["conditions"])
        assert all(set(row) == COLUMNS for row in content["rows"])
        return content["rows"]

    return call


def test_rows_of_random_inputs(run, tmp_path, capsys):
    rows = run("--lengths", 64, 100, "--heads", 2, "--dim", 8, "--methods", "quest", "kmeans", "oracle",
               "--baselines", "dense", "package", "backward", "given",
               "--figure", tmp_path / "a" / "figure.png")  # fmt: skip
    assert {(row["method"], row["order"]) for row in rows if row["block"]} == {
        ("random lists, given", "tokens"), ("quest", "tokens"), ("kmeans", "tokens"), ("kmeans", "buckets"),
        ("oracle", "tokens"),
    }  # fmt: skip
    assert {row["length"] for row in rows} == {64, 100}
    for row in rows:
        assert row["total_ms"] == pytest.approx(row["predict_ms"] + row["build_ms"] + row["attend_ms"], abs=0.01)
        assert 0 < row["kept"] <= 1 or row["order"] == "buckets"
        assert (row["predict_ms"] > 0) == (row["method"] in ("quest", "kmeans", "oracle"))
    assert (tmp_path / "a" / "figure.png").stat().st_size > 1000
    printed = capsys.readouterr().out
    assert "methods that predict every pair of tokens: oracle" in printed and "faster than SDPA" in printed


@pytest.mark.parametrize("causal", [False, True], ids=["everything", "causal"])
def test_rows_of_a_store(run, tmp_path, causal):
    info = QKInfo(2, 3, 8, (20, 50), (20, 50), ("a", "b"), causal=causal)
    with QKWriter(tmp_path / "qk", info) as writer:
        for layer in range(2):
            for index, length in enumerate(info.query_lengths):
                writer.write(layer, index, torch.randn(3, length, 8), torch.randn(3, length, 8))
    options = "--methods", "window", "--baselines", "dense"
    rows = run("--source", tmp_path / "qk", *options)
    assert {row["length"] for row in rows} == {50} and {row["source"] for row in rows} == {str(tmp_path / "qk")}
    assert {row["length"] for row in run("--source", tmp_path / "qk", *options, "--lengths", 32, 70)} == {32, 70}
    with pytest.raises(InputError, match=r"--lengths 71: .*qk holds 70 tokens; allowed: up to 70"):
        run("--source", tmp_path / "qk", *options, "--lengths", 71)


def with_tokenizer(model, folder):
    """Save a model with a tokenizer of 30 words, and a text of 70 words beside it."""
    model.save_pretrained(folder)
    words = Tokenizer(models.WordLevel({f"w{i}": i for i in range(30)}, unk_token="w0"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=words, unk_token="w0").save_pretrained(folder)
    (folder.parent / "text.txt").write_text(" ".join(f"w{i * i % 30}" for i in range(70)))
    return folder


@pytest.fixture
def llama(tmp_path):
    """Return a folder with a causal model of grouped heads."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=30, hidden_size=32, intermediate_size=16, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=80,
    )  # fmt: skip
    return with_tokenizer(LlamaForCausalLM(config), tmp_path / "model")


def test_rows_of_a_model_with_grouped_heads(run, llama, script):
    from attending.sources import OfModel

    text = llama.parent / "text.txt"
    rows = run("--source", llama, "--text", text, "--lengths", 48, 64, "--methods", "quest", "kmeans",
               "--baselines", "dense", "package", "given")  # fmt: skip
    assert {row["length"] for row in rows} == {48, 64}
    options = script.arguments().parse_args(["--source", str(llama), "--text", str(text), "--layer", "0"])
    inputs = OfModel(llama, options).at(48)
    assert inputs.query.shape == (1, 4, 48, 8) and inputs.key.shape == inputs.value.shape == (1, 2, 48, 8)
    assert torch.equal(inputs.visible.mask()[0, 0], torch.ones(48, 48).tril().bool())


def test_the_layers_before_attend_as_the_model_was_trained(script, tmp_path):
    from attending.sources import OfModel

    torch.manual_seed(0)
    sizes = {"vocab_size": 30, "hidden_size": 32, "intermediate_size": 16, "initializer_range": 0.5}
    config = BertConfig(num_hidden_layers=2, num_attention_heads=4, **sizes)
    model = BertForMaskedLM(config).eval()
    model.config.sparse_attention = {"kind": "entmax", "alpha": 1.5}
    folder = with_tokenizer(model, tmp_path / "model")
    options = ["--source", str(folder), "--text", str(tmp_path / "text.txt"), "--layer", "1"]
    inputs = OfModel(folder, script.arguments().parse_args(options)).at(40)
    model.set_attn_implementation(NAME)
    seen = []
    with torch.no_grad(), observed(seen.append):
        model(torch.tensor([[i * i % 30 for i in range(40)]]))
    torch.testing.assert_close(inputs.query, seen[1].queries, rtol=0, atol=1e-4)
    torch.testing.assert_close(inputs.key, seen[1].keys, rtol=0, atol=1e-4)
    assert inputs.visible.mask().all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--lengths", "90"], "model has 80 positions; allowed: up to 80"),
        (["--lengths", "75"], "has 70 tokens; allowed: up to 70"),
        (["--layer", "2"], "--layer 2: .*model has 2 layers; allowed: 0 to 1"),
    ],
    ids=["positions", "text", "layer"],
)
def test_what_a_model_lacks_is_told(run, llama, options, message):
    with pytest.raises(InputError, match=message):
        run("--source", llama, "--text", llama.parent / "text.txt", *options)


def test_a_folder_of_neither_kind_is_refused(run, tmp_path):
    with pytest.raises(InputError, match=r"neither qk\.json nor config\.json is there; allowed: random, a folder"):
        run("--source", tmp_path)
