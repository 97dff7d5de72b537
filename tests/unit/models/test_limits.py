"""Limits from a configuration equal what the model can process; each error names the key of the configuration."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import CONFIG_MAPPING, AutoModel

from sparse_attention.errors import InputError
from sparse_attention.models.limits import AFTER_PADDING, LTP, limits_in, limits_of, limits_of_model

SCRIPTS = Path(__file__).parents[3] / "workflow" / "scripts"
SIZES = {"vocab_size": 30, "hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
OWN = {
    "longformer": {"attention_window": 4},
    "luke": {"entity_vocab_size": 5, "entity_emb_size": 4},
    "layoutlmv3": {"visual_embed": False, "coordinate_size": 2, "shape_size": 2},
    "xmod": {"languages": ["en_XX"], "default_language": "en_XX"},
    "lilt": {"hidden_size": 48},
    "esm": {"position_embedding_type": "absolute", "mask_token_id": 4},
    "ibert": {"quant_mode": False},
    "distilbert": {"dim": 12, "n_layers": 2, "n_heads": 2, "hidden_dim": 16},
    "markuplm": {"max_depth": 4, "xpath_unit_hidden_size": 4, "xpath_tag_pad_id": 3, "xpath_subs_pad_id": 3},
}
NOT_MEASURED = {LTP}  # the library has no such class


def network(family: str, **changes: object):
    torch.manual_seed(0)
    config = CONFIG_MAPPING[family](**SIZES | {"max_position_embeddings": 20} | OWN.get(family, {}) | changes)
    return AutoModel.from_config(config).eval()


def reads(model, length: int) -> bool:
    tokens = torch.full((1, length), 9)
    with torch.no_grad():
        try:
            model(input_ids=tokens, attention_mask=torch.ones_like(tokens))
        except (IndexError, RuntimeError):
            return False
    return True


@pytest.mark.parametrize("padding", [0, 1, 3], ids="pad {}".format)
@pytest.mark.parametrize("family", sorted({*AFTER_PADDING, "bert", "distilbert", "electra", "albert"} - NOT_MEASURED))
def test_positions_are_those_that_the_library_reads(family, padding):
    model = network(family, pad_token_id=padding)
    limit = limits_of_model(model).positions
    assert reads(model, limit) and not reads(model, limit + 1)


@pytest.mark.parametrize("family", sorted({*AFTER_PADDING, "bert"} - NOT_MEASURED - {"esm"}))
def test_a_missing_padding_id_has_the_librarys_default(family, tmp_path):
    model = network(family)
    config = {"model_type": family, "max_position_embeddings": 20, "pad_token_id": "absent"}
    del config["pad_token_id"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert limits_of(tmp_path).positions == limits_of_model(model).positions


def test_limits_are_read_from_the_config_alone(tmp_path):
    config = {**SIZES, "model_type": "ltp", "attention_window": 8, "max_position_embeddings": 50, "pad_token_id": 1}
    (tmp_path / "config.json").write_text(json.dumps(config))
    limits = limits_of(tmp_path)
    assert (limits.family, limits.layers, limits.vocabulary, limits.positions) == ("ltp", 2, 30, 48)
    assert limits.windows == (8, 8) and str(tmp_path) in limits.name


def test_it_needs_neither_torch_nor_transformers(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "roberta", "max_position_embeddings": 514}))
    blocked = ("torch", "transformers", "tokenizers", "safetensors", "numpy", "huggingface_hub")
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({blocked}))\n"
        "from sparse_attention.models.limits import limits_of\n"
        f"print(limits_of({str(tmp_path)!r}).positions)"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=SCRIPTS, capture_output=True, text=True)
    assert run.stdout.strip() == "512", run.stderr


def test_an_empty_config_sets_no_limits():
    limits = limits_in({}, "model")
    limits.check_blocks(10_000, 10**6)
    limits.check_classifier(10_000, 40)
    limits.check_classifier(10_000, None)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"hidden_size": "12"}, "hidden_size: '12' is not allowed; allowed: a whole number from 1 on"),
        ({"n_layers": 0}, "n_layers: 0 is not allowed; allowed: a whole number from 1 on"),
        ({"head_dim": "64"}, "head_dim: '64' is not allowed; allowed: a whole number from 1 on"),
        ({"initializer_range": "a"}, "initializer_range: 'a' is not allowed; allowed: a number"),
        ({"hidden_size": 12, "num_attention_heads": 5}, "a hidden size of 12 is not allowed with 5 heads"),
        ({"model_type": ["bert"]}, r"model_type: \['bert'\] is not allowed; allowed: the name of a family"),
        ({"model_type": "roberta", "pad_token_id": None}, "pad_token_id: null is not allowed; allowed: a whole number"),
        (
            {"model_type": "roberta", "pad_token_id": "1"},
            "pad_token_id: '1' is not allowed; allowed: a whole number from 0 on",
        ),
        (
            {"model_type": "roberta", "pad_token_id": -1},
            "pad_token_id: -1 is not allowed; allowed: a whole number from 0 on",
        ),
        ({"model_type": "roberta", "pad_token_id": 19}, "max_position_embeddings: 20 leaves no position"),
        (
            {"model_type": "longformer", "attention_window": [4, 4, 4]},
            "attention_window: 3 windows do not fit 2 layers",
        ),
        (
            {"model_type": "ltp", "attention_window": [4, 5]},
            r"attention_window: \[4, 5\] is not allowed; allowed: an even number",
        ),
        ({"model_type": "longformer", "attention_window": [4, "4"]}, "attention_window: .*; allowed: an even number"),
        (
            {"model_type": "roberta", "attention_window": [4, 4]},
            "attention_window: .* roberta have no attention windows; .*longformer",
        ),
        (
            {"model_type": "longformer", "attention_window": True},
            "attention_window: True is not allowed; allowed: an even number",
        ),
    ],
    ids=str,
)
def test_a_config_that_fits_no_model_is_refused(config, message, tmp_path):
    base = {"num_hidden_layers": 2, "max_position_embeddings": 20}
    (tmp_path / "config.json").write_text(json.dumps(base | config))
    with pytest.raises(InputError, match=rf"{tmp_path}/config\.json: {message}"):
        limits_of(tmp_path)


ROBERTA = {**SIZES, "model_type": "roberta", "max_position_embeddings": 20, "pad_token_id": 1}


@pytest.mark.parametrize(
    ("changes", "call", "message"),
    [
        ({}, ("check_blocks", 19, 30), r"blocks\.length: 19 is more than the model in M can read; allowed: at most 18"),
        ({}, ("check_blocks", 18, 31), "blocks: token id 30 is outside the vocabulary of 30 of the model in M"),
        ({}, ("check_classifier", 19, None), r"tokenise_code\.max_tokens: 19 .*; allowed: at most 18"),
        (
            {},
            ("check_classifier", 99, 3),
            r"train_classifier\.longformer\.layers: 3 is not allowed; allowed: from 1 to the 2 of the",
        ),
        (
            {"model_type": "albert"},
            ("check_classifier", 9, 1),
            "no Longformer can be made from albert.*; allowed: .*null",
        ),
        ({"model_type": "longformer"}, ("check_classifier", 9, 1), "no Longformer can be made from longformer"),
        ({"model_type": "albert"}, ("check_classifier", 9, None), "albert, whose tokens cannot be pruned; allowed: lo"),
    ],
    ids=str,
)
def test_the_error_names_the_key_and_the_limit(changes, call, message):
    limits = limits_in(ROBERTA | changes, "M")
    with pytest.raises(InputError, match=message):
        getattr(limits, call[0])(*call[1:])


def test_the_largest_sizes_within_the_limits_are_accepted():
    limits = limits_in(ROBERTA, "M")
    limits.check_blocks(18, 30)
    limits.check_classifier(18, None)
    limits.check_classifier(4096, 2)  # a Longformer repeats the positions


@pytest.mark.parametrize(
    ("key", "value"),
    [("hidden_dropout_prob", float("nan")), ("attention_probs_dropout_prob", 1.5), ("layer_norm_eps", float("inf"))],
)
def test_a_number_out_of_its_range_is_refused(key, value):
    with pytest.raises(InputError, match=rf"config.json: {key}: .*; allowed: a number from 0"):
        limits_in({key: value}, "model")
