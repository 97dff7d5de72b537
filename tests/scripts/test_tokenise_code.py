"""The tokens of a classifier; a model that cannot become it is refused here, before anything is trained."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

import tokenise_code
from pruned_code import functions
from sparse_attention.data.code.functions import write_functions
from sparse_attention.data.code.tokens import CodeTokens
from sparse_attention.data.fetch import retrieve
from sparse_attention.errors import InputError


@pytest.fixture
def job(tiny_inputs: Path, tmp_path: Path):
    """Return a function that runs the script on a model of two layers and 64 positions, with changes to its config."""

    def run(max_tokens: int, layers: int | None, **changes: object) -> CodeTokens:
        folder = tmp_path / "model"
        shutil.copytree(tiny_inputs / "model", folder)
        config = json.loads((folder / "config.json").read_text()) | changes
        (folder / "config.json").write_text(json.dumps(config))
        entry = {"kind": "model", "version": "local", "source": {"type": "path", "path": str(folder)}}
        retrieve("tiny", entry, tmp_path / "receipt.json")
        write_functions(functions(), tmp_path / "functions.parquet")
        files = {"tokens": "tokens.safetensors", "info": "tokens.json", "statistics": "statistics.tsv"}
        output = SimpleNamespace(**{name: str(tmp_path / file) for name, file in files.items()})
        given = SimpleNamespace(functions=str(tmp_path / "functions.parquet"), model=str(tmp_path / "receipt.json"))
        params = SimpleNamespace(max_tokens=max_tokens, layers=layers)
        tokenise_code.main(SimpleNamespace(input=given, output=output, params=params))
        return CodeTokens.load(output.tokens)

    return run


@pytest.mark.parametrize(("max_tokens", "layers"), [(64, None), (300, 2)], ids=["as it is", "longformer"])
def test_functions_become_tokens(max_tokens, layers, job):
    tokens = job(max_tokens, layers)
    assert tokens.info.max_tokens == max_tokens and len(tokens.lengths) == len(functions())


@pytest.mark.parametrize(
    ("max_tokens", "layers", "changes", "message"),
    [
        (65, None, {}, r"tokenise_code\.max_tokens: 65 is more than the model in .*; allowed: at most 64"),
        (64, None, {"model_type": "roberta"}, r"tokenise_code\.max_tokens: 64 .*; allowed: at most 63"),
        (
            64,
            3,
            {},
            r"train_classifier\.longformer\.layers: 3 is not allowed; allowed: from 1 to the 2 of the model in",
        ),
        (64, 2, {"model_type": "longformer"}, r"train_classifier\.longformer: no Longformer can be made from longfor"),
        (64, None, {"vocab_size": 20}, r"tokenise_code: token id \d+ is outside the vocabulary of 20"),
    ],
    ids=str,
)
def test_a_model_that_cannot_become_the_classifier_is_refused(max_tokens, layers, changes, message, job, tmp_path):
    with pytest.raises(InputError, match=message):
        job(max_tokens, layers, **changes)
    assert not (tmp_path / "tokens.safetensors").exists()
