"""Guarded loading: no code of a folder runs, and each damaged file gives an error of one line that names it."""

from __future__ import annotations

import builtins
import json
import logging
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models
from transformers import AutoModel, BertForMaskedLM

from sparse_attention.data.code import tokens
from sparse_attention.data.tokenising import Tokeniser
from sparse_attention.errors import InputError
from sparse_attention.models.hub import copy_tokenizer, guarded, load_tokenizer
from sparse_attention.models.loading import load_classifier, load_complete
from sparse_attention.models.longformer import LongformerShape
from sparse_attention.models.masked_lm import load_masked_lm, save_masked_lm
from tiny_networks import tiny

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
SPECIAL = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")}


@pytest.fixture(autouse=True)
def nobody_answers(monkeypatch):
    monkeypatch.setattr(builtins, "input", lambda *_: pytest.fail("asked on the terminal"))


@pytest.fixture
def folder(tmp_path) -> Path:
    """Return the folder of a BERT with its tokenizer, and with code beside it that would leave a mark."""
    folder = tmp_path / "model"
    tiny(BertForMaskedLM).save_pretrained(folder)
    words = [*SPECIAL.values(), *"abcdefgh"]
    words = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, unk_token="[UNK]"))
    words.save(str(folder / "tokenizer.json"))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 64, **SPECIAL}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    (folder / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    return folder


def ran(folder: Path) -> bool:
    return (folder.parent / "ran").exists()


def edit(file: Path, **changes: object) -> None:
    content = json.loads(file.read_text()) | changes
    file.write_text(json.dumps({name: value for name, value in content.items() if value != "DROP"}))


LOADERS = {
    "tokenizer": load_tokenizer,
    "copied tokenizer": lambda folder: copy_tokenizer(folder, folder.parent / "copy"),
    "tokenise": lambda folder: Tokeniser(folder, 16),
    "tokenise_code": tokens.load_tokenizer,
    "masked language model": lambda folder: load_masked_lm(folder, "softmax"),
    "encoder": lambda folder: load_complete(AutoModel, folder, "an encoder", ("pooler.",)),
    "classifier": lambda folder: load_classifier(folder, None, 16),
    "longformer": lambda folder: load_classifier(folder, LongformerShape(2, 4), 16),
}
OF_MODELS = ["masked language model", "encoder", "classifier", "longformer"]
OF_TOKENIZERS = [name for name in LOADERS if name not in OF_MODELS]


@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize("family", ["my-bert", None])
def test_a_model_that_only_custom_code_defines_is_refused(loader, family, folder):
    code = {"AutoConfig": "own.C", "AutoModelForMaskedLM": "own.M", "AutoModel": "own.M"}
    edit(folder / "config.json", model_type=family or "DROP", auto_map=code)
    message = rf"config\.json: auto_map names custom code \(own\.C, own\.M\), .* never run; allowed: .* {family!r}"
    with pytest.raises(InputError, match=message):
        LOADERS[loader](folder)
    assert not ran(folder)


@pytest.mark.parametrize("loader", OF_TOKENIZERS)
@pytest.mark.parametrize("named", ["OwnTokenizer", "DROP", 7])
@pytest.mark.parametrize("code", [{"AutoTokenizer": [None, "own.T"]}, ["own.T", None], "own.T"], ids=str)
def test_a_tokenizer_that_only_custom_code_defines_is_refused(loader, named, code, folder):
    edit(folder / "tokenizer_config.json", tokenizer_class=named, auto_map=code)
    with pytest.raises(InputError, match=r"tokenizer_config\.json: auto_map names custom code \(own\.T\)"):
        LOADERS[loader](folder)
    assert not ran(folder)


def test_a_known_family_is_read_with_the_librarys_own_code(folder, tmp_path, caplog):
    code = {"AutoConfig": "own.C", "AutoModelForMaskedLM": "own.M"}
    edit(folder / "config.json", auto_map=code, custom_pipelines={"p": {"impl": "own.P"}})
    edit(folder / "tokenizer_config.json", auto_map={"AutoTokenizer": [None, "own.T"]})
    with caplog.at_level(logging.WARNING):
        model = load_masked_lm(folder, "softmax")
        assert type(model) is BertForMaskedLM and load_tokenizer(folder).mask_token == "[MASK]"
    assert "auto_map names custom code (own.C, own.M), which is not run" in caplog.text
    save_masked_lm(model, folder, tmp_path / "saved")
    for file in ("config.json", "tokenizer_config.json"):
        assert "own." not in (tmp_path / "saved" / file).read_text()
    assert not ran(folder)


@pytest.mark.parametrize("key", ["attn_implementation", "_attn_implementation"])
def test_kernels_of_the_hub_are_refused(key, folder):
    edit(folder / "config.json", **{key: "somebody/flash-attention"})
    with pytest.raises(InputError, match=rf"config\.json: {key}: somebody/flash-attention is code from the hub"):
        LOADERS["classifier"](folder)


class Attack:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self):
        return open, (str(self.target), "w")


@pytest.mark.parametrize("loader", OF_MODELS)
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "plain pickle"])
def test_a_pickle_with_code_is_refused_and_not_run(loader, zipped, folder):
    content = {"weight": torch.ones(2), "more": Attack(folder.parent / "ran")}
    (folder / "model.safetensors").unlink()
    torch.save(content, folder / "pytorch_model.bin", _use_new_zipfile_serialization=zipped)
    with pytest.raises(InputError, match=r"pytorch_model\.bin: holds \S*open; allowed: tensors") as caught:
        LOADERS[loader](folder)
    assert "weights_only" not in str(caught.value) and len(str(caught.value).splitlines()) == 1
    assert not ran(folder)
    pickle.loads(pickle.dumps(content["more"])).close()  # the attack is a real one
    assert ran(folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"state": {"weight": torch.ones(1)}, "epoch": 3}, "holds no weights by name"),
        ({"weight": "text"}, r"holds a str at \['weight'\]; allowed: tensors"),
        (None, "truncated, damaged or not a file of torch.save|not a file of torch.save, or damaged"),
    ],
    ids=["a whole training", "text", "damaged"],
)
def test_a_pickle_without_weights_is_refused(content, message, folder):
    (folder / "model.safetensors").unlink()
    torch.save(content, folder / "pytorch_model.bin")
    if content is None:
        (folder / "pytorch_model.bin").write_bytes(b"PK\x03\x04" + bytes(50))
    with pytest.raises(InputError, match=rf"pytorch_model\.bin: {message}"):
        LOADERS["encoder"](folder)


def test_pickled_weights_are_read(folder):
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(weights, folder / "pytorch_model.bin")
    loaded = LOADERS["masked language model"](folder).state_dict()
    assert all(torch.equal(loaded[name], weight) for name, weight in weights.items())


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt", "vocab.json"])
def test_a_git_lfs_pointer_in_place_of_a_tokenizer_file_is_refused(name, folder):
    (folder / name).write_text(POINTER)
    with pytest.raises(InputError, match=rf"{name}: is a Git LFS pointer, .*; run git lfs pull"):
        load_tokenizer(folder)


@pytest.mark.parametrize("loader", [*OF_MODELS, "tokenise"])
@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin", "shard"])
def test_a_git_lfs_pointer_in_place_of_weights_is_refused(loader, name, folder):
    (folder / "model.safetensors").rename(folder / "shard")
    if name == "shard":
        index = {"weight_map": {"a": "shard", "b": "other"}}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))
        (folder / "other").write_bytes((folder / "shard").read_bytes())
    (folder / name).write_text(POINTER)
    with pytest.raises(InputError, match=rf"{name}: is a Git LFS pointer, not the file itself; run git lfs pull"):
        LOADERS[loader](folder)


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ("{", "not valid JSON"),
        ("[]", "holds no JSON object; allowed: a JSON object"),
        ('{"weight_map": {}}', "has no weight_map; allowed"),
        ('{"weight_map": {"a": 1}}', "has no weight_map; allowed"),
        ('{"weight_map": {"a": "one", "b": "two"}}', "names 2 files that are missing, such as one"),
    ],
)
def test_an_index_without_usable_files_is_refused(index, message, folder):
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(index)
    with pytest.raises(InputError, match=rf"model\.safetensors\.index\.json: {message}"):
        LOADERS["encoder"](folder)


CONFIGS = {
    "text": ("{", r"not valid JSON \(Expecting .*; allowed: a JSON object"),
    "list": ("[1]", "holds no JSON object; allowed: a JSON object"),
    "nested": ("[" * 100_000, "not valid JSON"),
    "latin": ("\xff", r"not valid JSON \('utf-8' codec"),
    "empty": ("", "not valid JSON"),
}


@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize("damage", CONFIGS)
def test_a_config_that_is_no_json_object_is_refused(damage, loader, folder):
    content, message = CONFIGS[damage]
    (folder / "config.json").write_text(content, encoding="latin-1")
    with pytest.raises(InputError, match=rf"config\.json: {message}"):
        LOADERS[loader](folder)


@pytest.mark.parametrize("loader", OF_MODELS)
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden_size": "24"}, "hidden_size: '24' is not allowed; allowed: a whole number from 1 on"),
        ({"num_hidden_layers": 3.0}, "num_hidden_layers: 3.0 is not allowed; allowed: a whole number"),
        ({"vocab_size": True}, "vocab_size: True is not allowed; allowed: a whole number"),
        ({"layer_norm_eps": "1e-12"}, "layer_norm_eps: '1e-12' is not allowed; allowed: a number"),
        ({"num_attention_heads": 5}, "a hidden size of 24 is not allowed with 5 heads"),
        ({"model_type": 3}, "model_type: 3 is not allowed; allowed: the name of a family"),
        ({"hidden_act": "none"}, "cannot be loaded as"),
        ({"id2label": "yes"}, "cannot be loaded as"),
    ],
    ids=str,
)
def test_a_config_with_impossible_values_is_refused(changes, message, loader, folder):
    edit(folder / "config.json", **changes)
    with pytest.raises(InputError, match=rf"{folder}.*{message}") as caught:
        LOADERS[loader](folder)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("loader", OF_MODELS)
@pytest.mark.parametrize("value", [torch.nan, -torch.inf])
def test_weights_that_are_not_finite_are_refused(value, loader, folder):
    weights = load_file(folder / "model.safetensors")
    weights["bert.encoder.layer.1.output.dense.weight"][1, 2] = value
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"encoder\.layer\.1\.output\.dense\.weight holds NaN or infinity"):
        LOADERS[loader](folder)


def test_an_adapter_is_refused(folder):
    (folder / "adapter_config.json").write_text("{}")
    with pytest.raises(InputError, match=r"adapter_config\.json: adapters are not applied"):
        LOADERS["encoder"](folder)


@pytest.mark.parametrize("loader", OF_TOKENIZERS)
@pytest.mark.parametrize("content", ['{"version": "1.0", "model": {"type": "Newer"}}', "{}", '{"version": "9.0"}'])
def test_a_tokenizer_of_another_version_is_refused(content, loader, folder):
    (folder / "tokenizer.json").write_text(content)
    with pytest.raises(InputError, match=r"tokenizer\.json: the tokenizer cannot be loaded: .*; allowed: .*tokenizers"):
        LOADERS[loader](folder)


class Odd(Exception):
    pass


@pytest.mark.parametrize("kind", [Exception, Odd, KeyError, ValueError, AssertionError, RecursionError])
def test_an_exception_of_a_library_becomes_one_line(kind):
    text = "It failed.\nSet `trust_remote_code=True` to go on. See https://example.org/x.\n\nThe file is short."
    with pytest.raises(InputError) as caught, guarded("folder: cannot be loaded", "another"):
        raise kind(text)
    message = str(caught.value)
    assert message.startswith("folder: cannot be loaded: ") and message.endswith("; allowed: another")
    assert "trust_remote_code" not in message and "https" not in message and len(message.splitlines()) == 1
    assert kind is KeyError or "It failed. The file is short." in message


def test_an_input_error_keeps_its_text():
    with pytest.raises(InputError, match="^as it is: weights_only$"), guarded("folder"):
        raise InputError("as it is: weights_only")
