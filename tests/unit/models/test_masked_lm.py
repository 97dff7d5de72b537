"""Loading and saving: heads, missing weights, refusals, and no network."""

from __future__ import annotations

import json
import socket

import pytest
import torch
from transformers import AutoModel, AutoModelForMaskedLM, BertModel

from sparse_attention.errors import InputError
from sparse_attention.models.masked_lm import HEADS, load_masked_lm, logits_at, set_dropout

FAMILIES = ["bert", "roberta", "modernbert"]


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*_):
        raise AssertionError("tried to reach the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture
def saved(tmp_path, make_model):
    def save(family, **changes):
        make_model(family, **changes).save_pretrained(tmp_path / family)
        return tmp_path / family

    return save


def test_config_stores_the_attention_and_loads_in_plain_transformers(saved, tmp_path):
    model = load_masked_lm(saved("bert"), "entmax~1.25")
    model.save_pretrained(tmp_path / "out")
    written = json.loads((tmp_path / "out" / "config.json").read_text())
    assert written["sparse_attention"] == {"kind": "entmax", "alpha": 1.25}
    plain = AutoModelForMaskedLM.from_pretrained(tmp_path / "out")
    assert plain.config._attn_implementation in ("sdpa", "eager")


@pytest.mark.parametrize("family", FAMILIES)
def test_complete_weights_are_kept(family, saved, make_model):
    model = load_masked_lm(saved(family), "softmax", head="identity")
    for name, weight in make_model(family).state_dict().items():
        assert torch.equal(model.state_dict()[name], weight), name


@pytest.mark.parametrize("family", FAMILIES)
def test_a_missing_head_starts_as_identity(family, saved, make_model, tmp_path):
    AutoModel.from_pretrained(saved(family)).save_pretrained(tmp_path / "body")
    model = load_masked_lm(tmp_path / "body", "softmax", head="identity")
    dense = {"bert": "cls.predictions.transform.dense", "roberta": "lm_head.dense", "modernbert": "head.dense"}[family]
    assert torch.equal(model.get_submodule(dense).weight, torch.eye(32))
    decoder = model.get_output_embeddings()
    assert torch.equal(decoder.weight, model.get_input_embeddings().weight)
    assert not decoder.bias.any()


def test_a_missing_head_can_start_at_random(saved, make_model, tmp_path):
    AutoModel.from_pretrained(saved("bert")).save_pretrained(tmp_path / "body")
    model = load_masked_lm(tmp_path / "body", "softmax", head="random")
    assert not torch.equal(model.cls.predictions.transform.dense.weight, torch.eye(32))


def test_missing_layers_are_refused(saved, tmp_path, make_model):
    folder = saved("bert")
    BertModel(make_model("bert", num_hidden_layers=1).config).save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text()) | {"num_hidden_layers": 2}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match="weights are missing, such as bert.encoder.layer.1"):
        load_masked_lm(folder, "softmax")


def test_longformer_is_refused(saved):
    with pytest.raises(InputError, match="LongformerForMaskedLM computes attention by itself"):
        load_masked_lm(saved("longformer"), "entmax~1.5")


def test_folders_without_a_model_are_refused(tmp_path, saved):
    with pytest.raises(InputError, match=r"no config\.json; allowed: a Hugging Face model folder"):
        load_masked_lm(tmp_path, "softmax")
    folder = saved("bert")
    (folder / "config.json").write_text('{"model_type": "t5"}')
    with pytest.raises(InputError, match="cannot be loaded as a masked language model: Unrecognized config") as caught:
        load_masked_lm(folder, "softmax")
    assert len(str(caught.value).splitlines()) == 1 and "AlbertConfig" not in str(caught.value)


def test_damaged_weights_are_refused(saved):
    folder = saved("bert")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(InputError, match=r"model\.safetensors: is not a complete safetensors file"):
        load_masked_lm(folder, "softmax")


@pytest.mark.parametrize("known", [True, False], ids=["selected", "full decode"])
@pytest.mark.parametrize("family", FAMILIES)
def test_decoding_single_positions_equals_the_model(family, known, saved, monkeypatch):
    if not known:
        monkeypatch.delitem(HEADS, family)
    model = load_masked_lm(saved(family), "entmax~1.5")
    tokens = torch.randint(5, 60, (2, 16))
    real, wanted = torch.ones_like(tokens), torch.rand(2, 16) < 0.3
    with torch.no_grad():
        expected = model(input_ids=tokens, attention_mask=real).logits[wanted]
        assert torch.allclose(logits_at(model, tokens, real, wanted), expected, atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_dropout_is_replaced_everywhere_but_in_the_configuration(family, saved):
    model = load_masked_lm(saved(family), "softmax").train()
    before = model.config.to_dict()
    set_dropout(model, 0.0)
    tokens = torch.randint(5, 60, (2, 16))
    assert torch.equal(model.base_model(tokens)[0], model.base_model(tokens)[0])
    assert model.config.to_dict() == before
