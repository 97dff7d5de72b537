"""Weights that a model has no place for are refused, except unused heads and buffers."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModel,
    BertForMaskedLM,
    BertForPreTraining,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertModel,
    RobertaForMaskedLM,
    RobertaForSequenceClassification,
    RobertaForTokenClassification,
    RobertaModel,
)

from covering import all_pairs
from sparse_attention.errors import InputError
from sparse_attention.models.loading import load_classifier, load_complete
from sparse_attention.models.longformer import LongformerShape
from sparse_attention.models.masked_lm import load_masked_lm
from sparse_attention.pruning.model import PrunedClassifier
from sparse_attention.pruning.stored import load_pruned_model, save_pruned_model
from sparse_attention.pruning.thresholds import PruningSettings
from tiny_networks import tiny

LOADERS = {
    "encoder": lambda folder: load_complete(AutoModel, folder, "an encoder", ("pooler.",)),
    "longformer": lambda folder: load_classifier(folder, LongformerShape(2, 4), 16),
    "classifier": lambda folder: load_classifier(folder, None, 16),
    "masked language model": lambda folder: load_masked_lm(folder, "softmax"),
}
CHECKPOINTS = [
    *(BertModel, BertForMaskedLM, BertForPreTraining, BertForSequenceClassification, BertForQuestionAnswering),
    *(RobertaModel, RobertaForMaskedLM, RobertaForSequenceClassification),
]
BUFFERS = {"embeddings.position_ids": torch.arange(130)[None], "embeddings.token_type_ids": torch.zeros(1, 130)}


@pytest.fixture
def save(tmp_path):
    """Return a function that saves a tiny checkpoint of a class, with further weights."""

    def save(kind, extra=None, **changes):
        model = tiny(kind, **changes)
        model.save_pretrained(tmp_path)
        weights = load_file(tmp_path / "model.safetensors") | (extra or {})
        save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
        return tmp_path, model

    return save


@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize("kind", CHECKPOINTS, ids=lambda kind: kind.__name__)
def test_other_heads_and_old_buffers_may_be_left_out(kind, loader, save):
    base = "" if kind in (BertModel, RobertaModel) else f"{kind.base_model_prefix}."
    folder, model = save(kind, {base + name: tensor for name, tensor in BUFFERS.items()})
    if kind is BertForQuestionAnswering and loader == "classifier":
        assert load_classifier(folder, None, 16).classifier.out_features == 2
        return
    loaded = LOADERS[loader](folder)
    given = model.base_model.state_dict()
    name = "encoder.layer.1.attention.self.query.weight"
    assert torch.equal(loaded.base_model.state_dict()[name], given[name])


@all_pairs(
    name=["encoder.layer.0.attention.self.gate.weight", "encoder.layer.9.output.dense.bias"],
    kind=CHECKPOINTS,
    loader=list(LOADERS),
)
def test_weights_of_another_encoder_are_refused(name, kind, loader, save):
    base = "" if kind in (BertModel, RobertaModel) else f"{kind.base_model_prefix}."
    folder, _ = save(kind, {base + name: torch.ones(2)})
    with pytest.raises(InputError, match=rf"{folder}: 1 weights have no place in the \w+ .*, such as {base}{name}"):
        LOADERS[loader](folder)


@pytest.mark.parametrize("loader", LOADERS)
def test_unknown_weights_are_refused(loader, save):
    folder, _ = save(RobertaForMaskedLM, {"my_projection.weight": torch.ones(2)})
    with pytest.raises(InputError, match="1 weights have no place .*, such as my_projection.weight; allowed: the we"):
        LOADERS[loader](folder)


@pytest.mark.parametrize("loader", LOADERS)
def test_a_longformer_declared_as_roberta_is_refused(loader, save):
    extra = {
        f"roberta.encoder.layer.{layer}.attention.self.{part}_global.{kind}": torch.ones(2)
        for layer in range(2) for part in ("query", "key", "value") for kind in ("weight", "bias")
    }  # fmt: skip
    folder, _ = save(RobertaForSequenceClassification, extra)
    with pytest.raises(InputError, match=r"12 weights .*_global\.bias; .*a Longformer need model_type: longformer"):
        LOADERS[loader](folder)


def test_a_config_with_fewer_layers_than_the_weights_is_refused(save):
    folder, model = save(BertForMaskedLM)
    model.config.num_hidden_layers = 2
    model.config.save_pretrained(folder)
    with pytest.raises(InputError, match=r"16 weights have no place .* such as bert\.encoder\.layer\.2\."):
        load_masked_lm(folder, "softmax")


@pytest.mark.parametrize(
    ("kind", "extra", "loader", "name"),
    [
        (RobertaForTokenClassification, {}, "classifier", "classifier.bias"),
        (RobertaForMaskedLM, {"lm_head.gate.weight": torch.ones(2)}, "masked language model", "lm_head.gate.weight"),
        (BertForMaskedLM, {"cls.gate.weight": torch.ones(2)}, "masked language model", "cls.gate.weight"),
    ],
    ids=["tokens", "RoBERTa's head", "BERT's head"],
)
def test_a_head_of_the_same_name_but_another_kind_is_refused(kind, extra, loader, name, save):
    folder, _ = save(kind, extra)
    with pytest.raises(InputError, match=rf"weights have no place .* such as {name}"):
        LOADERS[loader](folder)
    LOADERS["encoder"](folder)


def test_a_pruned_model_with_unknown_weights_is_refused(tmp_path):
    model = PrunedClassifier(tiny(BertForSequenceClassification), PruningSettings())
    save_pruned_model(model, tmp_path)
    weights = load_file(tmp_path / "model.safetensors") | {"bert.encoder.layer.0.gate.weight": torch.ones(2)}
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"1 weights have no place .*gate\.weight"):
        load_pruned_model(tmp_path)


@pytest.mark.parametrize(
    ("kind", "tied"),
    [
        (BertForMaskedLM, {"cls.predictions.decoder.weight": "weight", "cls.predictions.decoder.bias": "bias"}),
        (RobertaForMaskedLM, {"lm_head.decoder.weight": "weight", "lm_head.decoder.bias": "bias"}),
    ],
    ids=["bert", "roberta"],
)
@pytest.mark.parametrize("loader", LOADERS)
def test_tied_decoders_and_old_names_of_norms_are_accepted(kind, tied, loader, save):
    folder, model = save(kind)
    weights, decoder = load_file(folder / "model.safetensors"), model.get_output_embeddings()
    weights |= {name: getattr(decoder, part).detach().clone() for name, part in tied.items()}
    old = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
    for new, name in old.items():
        weights = {key.replace(new, name): weight for key, weight in weights.items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    loaded = LOADERS[loader](folder).base_model.state_dict()
    assert torch.equal(loaded["embeddings.LayerNorm.bias"], model.base_model.state_dict()["embeddings.LayerNorm.bias"])
