"""Hugging Face folders: complete ones are loaded, an encoder becomes a Longformer, and others are refused."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoModelForSequenceClassification, BertModel, RobertaForMaskedLM

from sparse_attention.errors import InputError
from sparse_attention.models.loading import load_classifier, load_complete
from sparse_attention.models.longformer import LongformerShape, longformer_from_encoder
from tiny_networks import CLASSIFIERS, tiny

MODELS = {
    "bert": BertModel,
    "roberta": RobertaForMaskedLM,
    **{f"{family} classifier": kind for family, kind in CLASSIFIERS.items()},
    "three classes": CLASSIFIERS["roberta"],
}
LONGFORMER = LongformerShape(2, 4)


@pytest.fixture
def make(tmp_path):
    """Return a function that makes a tiny model and its folder."""

    def make(name: str):
        labels = 3 if name == "three classes" else 2
        model = tiny(MODELS[name], max_position_embeddings=26, num_labels=labels)
        model.save_pretrained(tmp_path)
        return model, tmp_path

    return make


def states(model) -> torch.Tensor:
    ids = torch.randint(5, 50, (3, 20), generator=torch.Generator().manual_seed(1))
    mask = (torch.arange(20) < torch.tensor([20, 13, 3])[:, None]).long()
    with torch.no_grad():
        return model.base_model(input_ids=ids, attention_mask=mask).last_hidden_state


def same(one, other) -> bool:
    weights = other.state_dict()
    return all(torch.equal(weight, weights[name]) for name, weight in one.state_dict().items())


@pytest.mark.parametrize("name", ["bert", "roberta"])
def test_a_longformer_is_made_from_an_encoders_folder(name, make):
    encoder, folder = make(name)
    torch.manual_seed(7)
    given = longformer_from_encoder(encoder, **vars(LONGFORMER), max_positions=60)
    torch.manual_seed(7)
    made = load_classifier(folder, LONGFORMER, 60)
    assert made.config.model_type == "longformer" and made.config.attention_window == [4, 4]
    assert made.config.num_labels == 2 and not made.training
    assert same(made.base_model, given.base_model) and torch.equal(states(made), states(given))


@pytest.mark.parametrize("name", ["bert classifier", "roberta classifier", "longformer classifier"])
@pytest.mark.parametrize("whole", [True, False], ids=["whole", "may lack a head"])
def test_a_classifier_keeps_its_architecture_and_head(name, whole, make):
    model, folder = make(name)
    loaded = load_classifier(folder, None, 20, whole)
    assert type(loaded) is type(model) and same(model, loaded) and not loaded.training


@pytest.mark.parametrize("name", ["bert", "roberta"])
def test_a_missing_head_depends_on_the_seed(name, make):
    encoder, folder = make(name)
    heads = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        model = load_classifier(folder, None, 20)
        heads.append(torch.cat([weight.flatten() for weight in model.classifier.parameters()]))
    assert torch.equal(heads[0], heads[1]) and not torch.equal(heads[0], heads[2])
    assert model.config.model_type == name and torch.equal(states(model), states(encoder))


def test_a_classifier_that_is_used_as_it_is_needs_a_head(make):
    _, folder = make("roberta")
    with pytest.raises(InputError, match=r"4 weights are missing, such as classifier.dense.bias; allowed: a sequence"):
        load_classifier(folder, None, 20, require_head=True)


@pytest.mark.parametrize("whole", [True, False])
def test_three_classes_are_refused(whole, make):
    _, folder = make("three classes")
    with pytest.raises(
        InputError, match=rf"{folder.name}: a classifier with 3 classes is not allowed; allowed: 2 classes"
    ):
        load_classifier(folder, None, 20, whole)


def test_weights_are_read_in_float32(make):
    model, folder = make("roberta classifier")
    model.half().save_pretrained(folder)
    loaded = load_complete(AutoModelForSequenceClassification, folder, "a classifier")
    assert {weight.dtype for weight in loaded.parameters()} == {torch.float32} and same(model.float(), loaded)


BROKEN = {
    "no config": (
        lambda folder: (folder / "config.json").unlink(),
        ": there is no config.json; allowed: a Hugging Face",
    ),
    "broken config": (lambda folder: (folder / "config.json").write_text("{"), "/config.json: not valid JSON"),
    "unknown family": (
        lambda folder: (folder / "config.json").write_text(json.dumps({"model_type": "none"})),
        ": cannot be loaded as an encoder",
    ),
    "no weights": (lambda folder: (folder / "model.safetensors").unlink(), ": has no weights; allowed: model.safetens"),
    "broken weights": (
        lambda folder: (folder / "model.safetensors").write_bytes(b"x" * 100),
        "/model.safetensors: is not a complete safetensors file",
    ),
    "a weight too few": (
        lambda folder: change(folder, lambda weights: weights.pop("encoder.layer.1.output.dense.weight")),
        ": 1 weights are missing, such as encoder.layer.1.output.dense.weight; allowed: an encoder with all",
    ),
    "a weight of another shape": (
        lambda folder: change(folder, lambda weights: weights.update({"embeddings.LayerNorm.bias": torch.ones(3)})),
        r": embeddings.LayerNorm.bias has shape \(3,\), but config.json gives it \(24,\); allowed",
    ),
}


def change(folder, edit) -> None:
    weights = load_file(folder / "model.safetensors")
    edit(weights)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize("damage", BROKEN)
def test_an_incomplete_folder_is_refused(damage, make):
    _, folder = make("bert")
    load_complete(AutoModel, folder, "an encoder")
    edit, message = BROKEN[damage]
    edit(folder)
    with pytest.raises(InputError, match=rf"{folder.name}{message}"):
        load_complete(AutoModel, folder, "an encoder")
    with pytest.raises(InputError, match=folder.name):
        load_classifier(folder, LONGFORMER, 20)


def test_only_named_weights_may_be_missing(make):
    _, folder = make("bert")
    change(folder, lambda weights: [weights.pop(f"pooler.dense.{part}") for part in ("weight", "bias")])
    load_complete(AutoModel, folder, "an encoder", ("pooler.",))
    with pytest.raises(InputError, match=r"2 weights are missing, such as pooler.dense.bias"):
        load_complete(AutoModel, folder, "an encoder", ("classifier.",))
