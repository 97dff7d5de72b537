"""A saved sparse model opens as it was, in this process and as a transformers model, and damage is named."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from sparse_attention.clusters.centroids import Centroids
from sparse_attention.errors import InputError
from sparse_attention.evaluation.examples import features_of
from sparse_attention.models.attention import NAME, Attention, set_attention
from sparse_attention.models.limits import limits_of
from sparse_attention.models.predicted import IN_BLOCKS, PREDICTED
from sparse_attention.predictors.base import Context
from sparse_attention.predictors.registry import create, discover
from sparse_attention.projections.model import Projections
from sparse_attention.projections.weights import ProjectionSetting, initial_weights
from sparse_attention.qk.gold import gold_of
from sparse_attention.qk.store import Example
from sparse_attention.sparse_models.export import card_of
from sparse_attention.sparse_models.folder import load_sparse_model, make_sparse
from sparse_attention.sparse_models.points import Point
from sparse_attention.sparse_models.prediction import PredictedAttention

LAYERS, HEADS, HEAD_DIM = 2, 4, 8
SETTINGS = {
    "window": ({}, {"width": 5}),
    "bigbird": ({}, {"random_keys": 2}),
    "cos": ({}, {"threshold": 0.6}),
    "kmeans": ({"clusters": 3, "runs": 2}, {"top": 2}),
    "pca": ({}, {"dim": 3, "keys": 4}),
    "gate": ({"dim": 4, "block": 1, "steps": 3}, {"threshold": 0.2}),
    "calibrated": ({}, {"distance": "l2", "sparsity": 0.7}),
}


def projections(generator):
    setting = ProjectionSetting("linear", 3, True)
    weights = [initial_weights(setting, HEADS, HEAD_DIM, generator) for _ in range(LAYERS)]
    return Projections.of([(one, one) for one in weights])


def predicted(name, **extras):
    generator = torch.Generator().manual_seed(3)
    fixed, swept = SETTINGS[name]
    info, projected = discover()[name], projections(generator)
    if "projection" not in info.needs:
        projected = Projections.identity()
    centroids = Centroids(tuple(torch.randn(HEADS, 2, 3, 3, generator=generator).double() for _ in range(LAYERS)))
    context = Context(6, fixed, centroids if "clusters" in info.needs else None)
    predictors = [create(name, context) for _ in range(LAYERS)]
    for layer, predictor in enumerate(predictors):
        vectors = torch.randn(3, 2, HEADS, 12, HEAD_DIM, generator=generator)
        examples = [Example(i, *one, torch.ones(12, 12).bool()) for i, one in enumerate(vectors)]
        training = [(features_of(layer, one, projected), gold_of(one, 1.5)) for one in examples]
        if info.fits:
            predictor.fit(layer, training)
    return PredictedAttention(predictors, Point(swept, **extras), projected)


@pytest.fixture
def sparse(make_model):
    def make(name, family="bert", **extras):
        model = make_model(family).eval()
        model.set_attn_implementation(NAME)
        set_attention(model, Attention.parse("entmax~1.5"))
        return make_sparse(model, predicted(name, **extras))

    return make


@torch.no_grad()
def logits(model, corpus):
    tokens, lengths, _ = corpus.split("validation")
    real = torch.arange(tokens.shape[1]) < lengths[:, None]
    return model(input_ids=tokens.long(), attention_mask=real.long()).logits


@pytest.mark.parametrize("name", SETTINGS)
def test_a_saved_model_gives_the_same_logits(name, sparse, corpus, tmp_path):
    model = sparse(name, window=3, keep="cls")
    model.save_pretrained(tmp_path)
    loaded = load_sparse_model(tmp_path)
    assert torch.equal(logits(model, corpus), logits(loaded, corpus))
    assert loaded.config._attn_implementation == PREDICTED and not loaded.training
    assert loaded.predicted.point == model.predicted.point


@pytest.mark.parametrize("family", ["bert", "roberta", "modernbert"])
def test_the_class_of_the_model_saves_and_loads_it(family, sparse, corpus, tmp_path):
    model = sparse("kmeans", family)
    model.save_pretrained(tmp_path / "first")
    again = type(model).from_pretrained(tmp_path / "first")
    again.save_pretrained(tmp_path / "second")
    last = load_sparse_model(tmp_path / "second")
    assert torch.equal(logits(model, corpus), logits(last, corpus))
    config = json.loads((tmp_path / "second/config.json").read_text())
    assert config["architectures"] == [type(model).__name__] and type(model).__name__.endswith("ForMaskedLM")


def test_attention_switches_to_all_keys_and_back(sparse, corpus, tmp_path):
    model = sparse("window")
    model.save_pretrained(tmp_path)
    loaded = load_sparse_model(tmp_path)
    own = logits(loaded, corpus)
    loaded.set_attn_implementation(NAME)
    assert not torch.equal(own, logits(loaded, corpus))
    loaded.set_attn_implementation(PREDICTED)
    assert torch.equal(own, logits(loaded, corpus))


CHANGES = {
    "unknown predictor": ({"predictor": "cosine"}, r"predictor\.json: predictor: 'cosine' is not known; did you mean"),
    "setting of another predictor": ({"setting": {"width": 3}}, r"predictor\.json: setting\.width: no such key"),
    "value out of range": (
        {"setting": {"clusters": 0, "runs": 2, "top": 2}},
        r"setting\.clusters: 0 is not allowed; allowed: a whole number at least 2",
    ),
    "text for a number": ({"seed": "x"}, r"seed: 'x' is not allowed"),
    "unknown attention": ({"attention": "entmax~3"}, r"predictor\.json: attention: 'entmax~3' is not allowed"),
    "attention of another model": (
        {"attention": "entmax~2"},
        r"config\.json: sparse_attention: .*'alpha': 1\.5.* is not allowed; allowed: .*'alpha': 2\.0",
    ),
    "list for a name": (
        {"predictor": ["kmeans"]},
        r"predictor\.json: predictor: \['kmeans'\] is not known; did you mean",
    ),
    "even window": ({"window": 4}, r"predictor\.json: window: 4 is not allowed; allowed: .*odd"),
    "more clusters than there are": (
        {"setting": {"clusters": 3, "runs": 2, "top": 4}},
        r"predictor: predictors\.kmeans\.top: 4; allowed: 1 to the 3 clusters",
    ),
    "centroids of another setting": (
        {"setting": {"clusters": 4, "runs": 1, "top": 2}},
        r"centroids\.safetensors: runs: 2; allowed: 1, .*\n.*centroids\.safetensors: clusters: 3; allowed: 4",
    ),
    "no projections": ({"projected": False}, r"predictor: centroids: 4 heads of dimension 3 in layer 0; allowed: .* 8"),
    "a key too many": ({"code": "x"}, r"predictor\.json: code: no such key"),
    "another version": ({"version": 2}, r"predictor\.json: not a sidecar of a sparse model"),
}


@pytest.mark.parametrize("case", CHANGES)
def test_a_damaged_description_is_refused(case, sparse, tmp_path):
    changes, message = CHANGES[case]
    sparse("kmeans").save_pretrained(tmp_path)
    path = tmp_path / "predictor/predictor.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    with pytest.raises(InputError, match=message):
        load_sparse_model(tmp_path)


@pytest.mark.parametrize(
    ("name", "file"),
    [("kmeans", "projections"), ("kmeans", "centroids"), ("pca", "learned")],
    ids=["projections", "centroids", "what was learned"],
)
def test_a_missing_file_is_named(name, file, sparse, tmp_path):
    sparse(name).save_pretrained(tmp_path)
    (tmp_path / f"predictor/{file}.safetensors").unlink()
    with pytest.raises(InputError, match=rf"predictor/{file}\.safetensors: there is no such file"):
        load_sparse_model(tmp_path)


def test_predictors_of_another_model_are_refused(sparse, make_model, tmp_path):
    sparse("kmeans").save_pretrained(tmp_path)
    other = make_model("bert", num_hidden_layers=3)
    other.config.sparse_attention = {"kind": "entmax", "alpha": 1.5}
    other.save_pretrained(tmp_path)
    with pytest.raises(InputError, match=r"projections\.safetensors: layers: 2; allowed: 3, as in the model"):
        load_sparse_model(tmp_path)


TENSORS = {
    "projections of other vectors": (
        ("kmeans", "projections"),
        lambda name, value: value[:, :6] if name.endswith(".w") else value,
        r"projections\.safetensors: head_dim: 6; allowed: 8",
    ),
    "centroids of other projections": (
        ("kmeans", "centroids"),
        lambda name, value: value[..., :2],
        "predictor: centroids: 4 heads of dimension 2 in layer 0; allowed: 4 heads of dimension 3",
    ),
    "learned for other heads": (
        ("gate", "learned"),
        lambda name, value: value[:3],
        "predictor: fails on a small batch: .*; allowed: files that were saved together with the model",
    ),
    "learned NaN": (
        ("gate", "learned"),
        lambda name, value: value * float("nan"),
        r"learned\.safetensors: layer~0\..* holds NaN; allowed: numbers",
    ),
}


@pytest.mark.parametrize("case", TENSORS)
def test_tensors_that_do_not_fit_are_refused(case, sparse, tmp_path):
    (name, file), change, message = TENSORS[case]
    sparse(name).save_pretrained(tmp_path)
    path = tmp_path / f"predictor/{file}.safetensors"
    tensors = {name: change(name, value).contiguous() for name, value in load_file(path).items()}
    save_file(tensors, path)
    with pytest.raises(InputError, match=message):
        load_sparse_model(tmp_path)


@pytest.mark.parametrize("implementation", [NAME, PREDICTED, IN_BLOCKS])
@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_more_tokens_than_positions_are_refused(family, implementation, sparse, tmp_path):
    sparse("window", family).save_pretrained(tmp_path)
    model = load_sparse_model(tmp_path)
    model.set_attn_implementation(implementation)
    most = limits_of(tmp_path).positions
    longest = torch.full((1, most), 7)
    assert model(input_ids=longest).logits.shape[:2] == (1, most)
    for given in ({"input_ids": torch.full((1, most + 1), 7)}, {"inputs_embeds": torch.zeros(1, most + 1, 32)}):
        with pytest.raises(InputError, match=f"^number of tokens: {most + 1} is more than .* allowed: at most {most}$"):
            model(**given)


def test_options_of_transformers_are_refused(sparse):
    with pytest.raises(InputError, match="revision is not allowed; allowed for a sparse model: a local folder only"):
        type(sparse("window")).from_pretrained("somewhere", revision="main")


def test_the_card_names_predictor_point_and_paper(sparse):
    card = card_of(sparse("pca", window=3).predicted, "a model", {"trained further": "4 steps"})
    for text in (
        "# a model with attention predicted by: PCA of keys",
        "| keys | 4 |",
        "| window | 3 |",
        "4 steps",
        "Loki",
    ):
        assert text in card
