"""The shape that a folder tells is that of the queries and keys which the model computes."""

from __future__ import annotations

import json

import pytest
import torch
from transformers import CONFIG_MAPPING, AutoModelForMaskedLM

from sparse_attention.errors import InputError
from sparse_attention.models.attention import NAME, Attention, observed, set_attention
from sparse_attention.models.masked_lm import base_output
from sparse_attention.qk.shape import AttentionShape, read_shape
from sparse_attention.qk.store import QKInfo, QKWriter

SIZES = {
    "vocab_size": 60, "num_hidden_layers": 2, "num_attention_heads": 4, "hidden_size": 32, "intermediate_size": 48,
    "max_position_embeddings": 66, "pad_token_id": 1,
}  # fmt: skip
OWN = {
    "distilbert": {"n_layers": 3, "n_heads": 4, "dim": 24},
    "electra": {"embedding_size": 20},
    "mobilebert": {"intra_bottleneck_size": 16, "true_hidden_size": 16, "embedding_size": 20},
    "modernbert": {"bos_token_id": 2, "eos_token_id": 3, "cls_token_id": 2, "sep_token_id": 3},
    "eurobert": {"head_dim": 12, "num_key_value_heads": 4},
}


def saved(family, folder, **changes):
    torch.manual_seed(0)
    sizes = {} if family == "distilbert" else SIZES
    config = CONFIG_MAPPING[family](**sizes | OWN.get(family, {}) | changes)
    model = AutoModelForMaskedLM.from_config(config).eval()
    model.save_pretrained(folder)
    return model


@pytest.mark.parametrize(
    "family", ["albert", "bert", "distilbert", "electra", "eurobert", "mobilebert", "modernbert", "roberta"]
)
def test_a_models_config_tells_the_shape_that_it_computes(family, tmp_path):
    model, seen = saved(family, tmp_path), []
    model.set_attn_implementation(NAME)
    set_attention(model, Attention.parse("entmax~1.5"))
    with observed(seen.append), torch.no_grad():
        base_output(model, torch.arange(5, 12)[None], torch.ones(1, 7, dtype=torch.long))
    shape = read_shape(tmp_path)
    assert {tuple(side.shape) for each in seen for side in (each.queries, each.keys)} == {
        (1, shape.heads, 7, shape.head_dim)
    }
    assert shape.layers == len(seen) and shape.where == f"the model in {tmp_path}"


def test_fewer_key_heads_than_query_heads_are_refused(tmp_path):
    saved("eurobert", tmp_path, num_key_value_heads=2)
    with pytest.raises(InputError, match=r"config\.json: 4 query heads and 2 key heads; allowed: one key head per"):
        read_shape(tmp_path)


@pytest.mark.parametrize("missing", ["num_hidden_layers", "num_attention_heads", "hidden_size"])
def test_a_config_that_does_not_tell_is_refused(missing, tmp_path):
    config = {name: size for name, size in SIZES.items() if name != missing}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match=r"config\.json: does not tell .*; allowed: .*hidden_size"):
        read_shape(tmp_path)


def test_a_folder_that_holds_neither_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"there is no config\.json"):
        read_shape(tmp_path)


def test_a_store_tells_its_shape_and_lengths(tmp_path):
    with QKWriter(tmp_path / "train", QKInfo(1, 3, 5, (4, 7), (6, 7), ("a", "b"))) as writer:
        for index, (queries, keys) in enumerate(((4, 6), (7, 7))):
            writer.write(0, index, torch.ones(3, queries, 5), torch.ones(3, keys, 5))
    where = f"the queries and keys in {tmp_path / 'train'}"
    assert read_shape(tmp_path / "train") == AttentionShape(1, 3, 5, (4, 7), (6, 7), where)


def test_only_sizes_that_differ_are_told():
    shape = AttentionShape(6, 12, 64, where="the model in m")
    assert shape.differences({"layers": 6, "heads": 12}) == []
    assert shape.differences({"layers": 12, "heads": 12}) == ["layers is 12, must be 6, as in the model in m"]
