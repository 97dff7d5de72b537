"""Entries of the hub go from a local hub through the scripts: the layouts are the real ones, the contents are tiny."""

from __future__ import annotations

from fnmatch import fnmatch
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

import prepare
import prepare_code
import retrieve
import tokenise
import tokenise_code
import train_classifier
import train_mlm
from hub_layouts import LAYOUTS
from hub_server import empty_hub
from sparse_attention.data.blocks import Blocks
from sparse_attention.data.code.functions import read_functions
from sparse_attention.data.code.tokens import CodeTokens
from sparse_attention.data.registry import Dataset, open_dataset
from sparse_attention.files.tables import read_table
from token_blocks import OPTIONS

__all__ = ["empty_hub"]
CONFIG = Path(__file__).parents[2] / "config"
REGISTRY = yaml.safe_load((CONFIG / "datasets.yaml").read_text(encoding="utf-8"))
DEFAULTS = yaml.safe_load((CONFIG / "config.yaml").read_text(encoding="utf-8"))
PAPER = yaml.safe_load((CONFIG / "paper.yaml").read_text(encoding="utf-8"))
THREADS = {"threads": 1, "seed": 1, "device": "cpu", "kernels": "auto"}


@pytest.fixture
def fetched(empty_hub, tmp_path):
    """Return a function that retrieves an entry of the registry from a hub with a tiny copy of its repository."""

    def fetch(name: str) -> Path:
        entry, files = REGISTRY[name], LAYOUTS[name]()
        empty_hub.publish(entry["source"], files)
        receipt = tmp_path / "resources" / name / entry["version"] / "receipt.json"
        run(retrieve, {}, {"receipt": receipt}, dataset=name, entry=entry)
        check_files(open_dataset(receipt), entry, files)
        return receipt

    return fetch


def run(script: Any, inputs: dict[str, Path], outputs: dict[str, Path], **params: object) -> None:
    """Run the script of a rule."""
    spaces = [SimpleNamespace(**{name: str(path) for name, path in paths.items()}) for paths in (inputs, outputs)]
    script.main(SimpleNamespace(input=spaces[0], output=spaces[1], params=SimpleNamespace(code="", **params), log=[]))


def check_files(dataset: Dataset, entry: dict[str, Any], files: dict[str, bytes]) -> None:
    """Check that just the entry's files came, whole."""
    names = [file["path"] for file in entry.get("files", [])]
    names += [
        name for name in sorted(files) for pattern in entry["source"].get("patterns", []) if fnmatch(name, pattern)
    ]
    assert {str(file.relative_to(dataset.root)): file.read_bytes() for file in dataset.files} == {
        name: files[name] for name in names
    }
    assert sorted(path.name for path in dataset.root.iterdir()) == sorted(
        {name.split("/")[0] for name in names} | {"receipt.json"}
    )


def prepared_text(receipt: Path, folder: Path) -> Path:
    options = {"min_characters": 0, "max_documents": None, "split": DEFAULTS["prepare"]["split"]}
    outputs = {"documents": folder / "documents.jsonl", "splits": folder / "s.json", "statistics": folder / "s.tsv"}
    entry = PAPER["corpora"]["wikitext-103"]
    run(prepare, {"receipt": receipt}, outputs, entry=entry, options=options)
    return outputs["documents"]


def prepared_code(receipt: Path, folder: Path) -> Path:
    outputs = {"functions": folder / "functions.parquet", "statistics": folder / "f.tsv", "intake": folder / "i.tsv"}
    params = {"entry": DEFAULTS["code_corpora"]["devign"], "options": DEFAULTS["prepare_code"], "threads": 1}
    run(prepare_code, {"receipt": receipt}, outputs, **params)
    return outputs["functions"]


def test_wikitext_is_read_as_articles(fetched, tmp_path):
    documents = prepared_text(fetched("wikitext-103-raw"), tmp_path)
    texts = documents.read_text(encoding="utf-8")
    titles = {f"{split} {part} {number}" for split, part in (("train", 0), ("train", 1), ("test", 0), ("validation", 0))
              for number in range(3)}  # fmt: skip
    assert len(texts.splitlines()) == len(titles) and all(f"{title} is an article" in texts for title in titles)


@pytest.mark.parametrize("name", ["roberta-base", "modernbert-base"])
def test_a_masked_language_model_tokenises_wikitext_and_is_trained(name, fetched, tmp_path):
    documents, model = prepared_text(fetched("wikitext-103-raw"), tmp_path), fetched(name)
    blocks = {"blocks": tmp_path / "blocks.safetensors", "info": tmp_path / "blocks.json"}
    given = {"documents": documents, "model": model}
    run(tokenise, given, {**blocks, "statistics": tmp_path / "b.tsv"}, length=32, min_length=16)
    assert {name: info.blocks > 0 for name, info in Blocks.load(str(blocks["blocks"])).info.splits.items()} == {
        "train": True, "validation": True, "test": True,
    }  # fmt: skip
    tables = {name: tmp_path / f"{name}.tsv" for name in ("training", "evaluation", "sparsity")}
    outputs = {**tables, "model": tmp_path / "trained", "kernel": tmp_path / "kernel.json"}
    params = {**THREADS, "attention": "entmax~1.5", "options": OPTIONS, "resume": str(tmp_path / "resume")}
    run(train_mlm, {**blocks, "model": model}, outputs, **params)
    losses = read_table(tables["evaluation"]).loss
    # close to chance, as expected of weights that are small random numbers
    assert losses.between(4, 8).all() and (tmp_path / "trained" / "model.safetensors").is_file()


def test_longformer_classifies_devign_by_its_published_splits(fetched, tmp_path):
    functions, model = prepared_code(fetched("devign"), tmp_path), fetched("longformer-base-4096")
    for function in read_functions(functions):
        split, number = function.source.split("(")[0].removeprefix("int ").rsplit("_", 1)
        assert (function.split, function.label) == (split, int(number) % 2)
    tokens = {"tokens": tmp_path / "tokens.safetensors", "info": tmp_path / "tokens.json"}
    given = {"functions": functions, "model": model}
    run(tokenise_code, given, {**tokens, "statistics": tmp_path / "t.tsv"}, max_tokens=120, layers=None)
    assert len(CodeTokens.load(str(tokens["tokens"])).lengths) == 36
    options = {**DEFAULTS["train_classifier"], "longformer": None, "source": None, "epochs": 1, "batch_size": 6}
    outputs = {"model": tmp_path / "classifier", "training": tmp_path / "training.tsv"}
    params = {**THREADS, "options": options, "resume": str(tmp_path / "resume")}
    run(train_classifier, {**tokens, "model": model}, outputs, **params)
    assert read_table(outputs["training"]).loss.notna().any()
    assert (tmp_path / "classifier" / "model.safetensors").is_file()
