from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors

import tokenise
from sparse_attention.data.blocks import Blocks
from sparse_attention.data.fetch import retrieve
from sparse_attention.errors import InputError
from sparse_attention.files.tables import read_table


@pytest.fixture
def job(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    words = ["[PAD]", "[CLS]", "[SEP]", "[MASK]", "[UNK]", "a", "b"]
    tokenizer = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", None, [("[CLS]", 1), ("[SEP]", 2)])
    tokenizer.save(str(folder / "tokenizer.json"))
    special = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "cls", "sep", "mask", "unk")}
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 16, **special}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    (folder / "config.json").write_text("{}")
    entry = {"kind": "model", "version": "local", "source": {"type": "path", "path": str(folder)}}
    retrieve("tiny", entry, tmp_path / "receipt.json")
    with open(tmp_path / "documents.jsonl", "w") as stream:
        for number, split in enumerate(("train", "validation", "test")):
            row = {"id": str(number), "title": "", "split": split, "text": "a b c " * 5}
            stream.write(json.dumps(row) + "\n")
    outputs = {"blocks": "blocks.safetensors", "info": "blocks.json", "statistics": "statistics.tsv"}
    return SimpleNamespace(
        input=SimpleNamespace(documents=str(tmp_path / "documents.jsonl"), model=str(tmp_path / "receipt.json")),
        output=SimpleNamespace(**{name: str(tmp_path / "out" / file) for name, file in outputs.items()}),
        params=SimpleNamespace(length=8, min_length=4),
        log=[],
    )


def test_documents_become_blocks(job):
    tokenise.main(job)
    blocks = Blocks.load(job.output.blocks)
    tokens, lengths, owners = blocks.split("train")
    assert (
        tokens[0].tolist() == [1, 5, 6, 4, 5, 6, 4, 2]
        and lengths.tolist() == [8, 8, 5]
        and owners.tolist() == [0, 0, 0]
    )
    columns = ["split", "documents", "tokens", "blocks", "dropped_tokens", "min", "q25", "median", "q75", "max"]
    assert read_table(job.output.statistics, columns)["tokens"].tolist() == [15, 15, 15]


def test_too_long_a_minimum_names_the_key(job):
    job.params = SimpleNamespace(length=16, min_length=30)
    with pytest.raises(InputError, match=r"blocks\.min_length"):
        tokenise.main(job)
