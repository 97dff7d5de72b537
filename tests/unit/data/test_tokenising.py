from __future__ import annotations

import json
import math
import random
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from sparse_attention.data.blocks import Blocks
from sparse_attention.data.tokenising import Tokeniser, collect, save, statistics
from sparse_attention.errors import InputError

LENGTH = 10
CONTENT = LENGTH - 2


def document(number: int, words: int, split: str = "train") -> dict:
    rng = random.Random(number)
    text = " ".join(f"word{rng.randrange(40)}" for _ in range(words))
    return {"id": str(number), "title": "", "split": split, "text": text}


@pytest.fixture
def documents():
    return [
        document(0, 20),
        document(1, 3, "validation"),
        document(2, 16),
        document(3, 8, "validation"),
        document(4, 0),
        document(5, 9, "test"),
    ]


def build(folder: Path, documents: list[dict], min_length: int) -> tuple[Blocks, dict]:
    tokeniser = Tokeniser(folder, LENGTH)
    splits = collect(documents, tokeniser, min_length)
    save(folder / "blocks.safetensors", folder / "blocks.json", splits, tokeniser)
    return Blocks.load(folder / "blocks.safetensors"), statistics(splits).set_index("split").to_dict("index")


def test_each_token_is_in_one_block_between_special_tokens(model_folder, documents):
    blocks, _ = build(model_folder, documents, min_length=3)
    tokeniser = Tokeniser(model_folder, LENGTH)
    for split in ("train", "validation", "test"):
        tokens, lengths, owners = blocks.split(split)
        assert tokens.shape == (len(lengths), LENGTH) and tokens.dtype == lengths.dtype == owners.dtype == torch.int32
        found: dict[str, list[int]] = {}
        for row, length, owner in zip(tokens.tolist(), lengths.tolist(), owners.tolist(), strict=True):
            assert row[0] == 2 and row[length - 1] == 3 and row[length:] == [0] * (LENGTH - length)
            found.setdefault(blocks.document_ids(split)[owner], []).extend(row[1 : length - 1])
        expected = {
            doc["id"]: next(tokeniser.encode([doc["text"]]))[0].tolist()
            for doc in documents
            if doc["split"] == split and doc["text"]
        }
        assert found == expected


def test_last_blocks_below_the_minimum_are_left_out_and_counted(model_folder, documents):
    blocks, table = build(model_folder, documents, min_length=LENGTH)
    assert blocks.split("train")[1].tolist() == [LENGTH] * 4
    assert blocks.info.splits["train"].documents == ["0", "2"]
    assert table["train"] | {} == {
        "documents": 3, "tokens": 36, "blocks": 4, "dropped_tokens": 4,
        "min": 0.0, "q25": 8.0, "median": 16.0, "q75": 18.0, "max": 20.0,
    }  # fmt: skip
    assert table["validation"]["dropped_tokens"] == 3 and table["test"]["dropped_tokens"] == 1


def test_the_sidecar_counts_the_tokens_and_their_characters(model_folder, documents):
    blocks, _ = build(model_folder, documents, min_length=LENGTH)
    assert blocks.info.special == {"pad": 0, "cls": 2, "sep": 3, "mask": 4}
    assert (blocks.info.length, blocks.info.vocabulary) == (LENGTH, 45)
    train = blocks.info.splits["train"]
    covered = [" ".join(documents[0]["text"].split()[:16]), documents[2]["text"]]
    assert train.tokens == 32 and train.characters == sum(map(len, covered))


def test_the_unigram_loss_is_that_of_smoothed_frequencies(model_folder, documents):
    blocks, _ = build(model_folder, documents, min_length=3)
    counts = torch.ones(45, dtype=torch.float64)
    for row, length in zip(*blocks.split("train")[:2], strict=True):
        for token in row[1 : length - 1].tolist():
            counts[token] += 1
    losses = []
    for row, length in zip(*blocks.split("validation")[:2], strict=True):
        losses += [-math.log(counts[token] / counts.sum()) for token in row[1 : length - 1].tolist()]
    assert blocks.info.unigram_loss == pytest.approx(sum(losses) / len(losses), rel=1e-12)


def test_a_split_without_a_block_names_the_config_key(model_folder, documents):
    few = [doc for doc in documents if doc["id"] != "3"]
    with pytest.raises(InputError, match=r"blocks\.min_length: 10 .* validation split .*; allowed: at most 5"):
        build(model_folder, few, min_length=LENGTH)


def test_a_split_without_documents_stays_empty(model_folder, documents):
    blocks, table = build(model_folder, documents[:5], min_length=LENGTH)
    assert blocks.split("test")[0].shape == (0, LENGTH) and table["test"]["blocks"] == 0


def test_blocks_longer_than_the_model_reads_are_refused(model_folder):
    Tokeniser(model_folder, 64)
    with pytest.raises(InputError, match=r"blocks\.length: 65 .*allowed: at most 64"):
        Tokeniser(model_folder, 65)


@pytest.mark.parametrize(
    ("config", "most"),
    [
        ({"model_type": "bert", "max_position_embeddings": 40}, 40),
        ({"model_type": "roberta", "max_position_embeddings": 40}, 38),
        ({"model_type": "camembert", "max_position_embeddings": 40, "pad_token_id": 3}, 36),
        ({"model_type": "bert"}, 64),
    ],
    ids=str,
)
def test_blocks_have_the_length_that_training_reads(config, most, model_folder):
    (model_folder / "config.json").write_text(json.dumps(config))
    Tokeniser(model_folder, most)
    with pytest.raises(InputError, match=rf"blocks\.length: {most + 1} .*allowed: at most {most}"):
        Tokeniser(model_folder, most + 1)


def test_a_tokenizer_with_more_tokens_than_the_model_is_refused(model_folder):
    config = {"model_type": "bert", "vocab_size": 45}
    (model_folder / "config.json").write_text(json.dumps(config))
    Tokeniser(model_folder, LENGTH)
    (model_folder / "config.json").write_text(json.dumps(config | {"vocab_size": 44}))
    with pytest.raises(InputError, match=r"blocks: token id 44 is outside the vocabulary of 44 of the model in"):
        Tokeniser(model_folder, LENGTH)


def test_a_tokenizer_without_a_mask_is_refused(model_folder):
    settings = json.loads((model_folder / "tokenizer_config.json").read_text())
    del settings["mask_token"]
    (model_folder / "tokenizer_config.json").write_text(json.dumps(settings))
    with pytest.raises(InputError, match=r"has no mask token; allowed: one of a masked language model"):
        Tokeniser(model_folder, LENGTH)


def test_a_folder_without_a_tokenizer_is_refused(tmp_path):
    with pytest.raises(InputError, match="the tokenizer cannot be loaded"):
        Tokeniser(tmp_path, LENGTH)


def test_the_same_documents_give_the_same_bytes(model_folder, documents):
    build(model_folder, documents, min_length=3)
    first = (model_folder / "blocks.safetensors").read_bytes()
    build(model_folder, documents, min_length=3)
    assert (model_folder / "blocks.safetensors").read_bytes() == first


@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_a_folder_with_a_model_but_no_tokenizer_is_refused(family, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": family}))
    with pytest.raises(InputError, match="has no tokenizer"):
        Tokeniser(tmp_path, LENGTH)


INFO = {"length": LENGTH, "special": {}, "vocabulary": 45, "unigram_loss": 3.0, "splits": {}}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no such file"),
        ("{", r"not valid JSON \(Expecting"),
        ("\xff", r"not valid JSON \('utf-8' codec"),
        ("[]", "holds no JSON object"),
        (json.dumps(INFO | {"splits": {"train": {"blocks": "3", "documents": []}}}), "does not describe the splits"),
        (json.dumps(INFO | {"splits": ["train"]}), "does not describe the splits"),
        (json.dumps({"splits": {}, "length": LENGTH}), "lacks special, vocabulary, unigram_loss"),
    ],
    ids=["missing", "truncated", "not text", "no object", "no number", "no splits", "keys missing"],
)
def test_a_broken_sidecar_is_refused(content, message, model_folder, documents):
    build(model_folder, documents, min_length=3)
    sidecar = model_folder / "blocks.json"
    if content is None:
        sidecar.unlink()
    else:
        sidecar.write_text(content, encoding="latin-1")
    with pytest.raises(InputError, match=rf"blocks\.json: {message}.*; allowed: a JSON object with length, special"):
        Blocks.load(model_folder / "blocks.safetensors")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda file: file.unlink(), "there is no such file"),
        (lambda file: file.write_bytes(file.read_bytes()[:-4]), "is not a complete safetensors file"),
        (lambda file: save_file({"train.tokens": torch.zeros(1)}, file), "lacks train.lengths, train.documents, val"),
    ],
    ids=["missing", "truncated", "other tensors"],
)
def test_incomplete_blocks_are_refused(damage, message, model_folder, documents):
    build(model_folder, documents, min_length=3)
    damage(model_folder / "blocks.safetensors")
    with pytest.raises(InputError, match=rf"blocks\.safetensors: {message}"):
        Blocks.load(model_folder / "blocks.safetensors")
