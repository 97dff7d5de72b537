"""The script on small real stores: maps with the texts of tokens, and of a dump with positions."""

import json
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models

import map_attention
from sparse_attention.clusters.centroids import Centroids
from sparse_attention.errors import InputError
from sparse_attention.evaluation.maps import COLUMNS
from sparse_attention.files.tables import read_table
from sparse_attention.projections.model import Projections
from sparse_attention.projections.weights import ProjectionSetting, initial_weights

GRIDS = {
    "window": ({"width": [1, 3, 5]}, {}),
    "kmeans": ({"top": [1, 2]}, {"clusters": 3, "runs": 2}),
    "gate": ({"threshold": [0.2, 0.8]}, {"dim": 2, "block": 1, "steps": 2}),
}
LENGTHS = (8, 11)
"""Tokens of the validation examples in the small stores."""


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """Return a folder with projections, centroids, blocks, and a model folder with a tokenizer."""
    folder, generator = tmp_path_factory.mktemp("fitted"), torch.Generator().manual_seed(0)
    weights = [initial_weights(ProjectionSetting("linear", 2, True), 3, 6, generator) for _ in range(2)]
    Projections.of([(both, both) for both in weights]).save(folder / "projections.safetensors")
    centroids = (torch.randn(3, 2, 3, 2, generator=generator, dtype=torch.float64) for _ in range(2))
    Centroids(tuple(centroids)).save(folder / "clusters.safetensors")
    tokens = torch.arange(2 * 11).reshape(2, 11).int()
    tensors = {"tokens": tokens, "lengths": torch.tensor(LENGTHS).int(), "documents": torch.tensor([0, 1]).int()}
    save_file({f"validation.{name}": value for name, value in tensors.items()}, folder / "blocks.safetensors")
    facts = {"blocks": 2, "tokens": sum(LENGTHS), "characters": 50, "documents": ["a", "b"]}
    info = {"length": 11, "special": {}, "vocabulary": 22, "unigram_loss": 1.0, "splits": {"validation": facts}}
    (folder / "blocks.json").write_text(json.dumps(info))
    words = ["[UNK]", "a\tb", '"', "<b>", "$", *(f"word{number}" for number in range(5, 22))]
    (folder / "model").mkdir()
    vocabulary = {word: number for number, word in enumerate(words)}
    Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]")).save(str(folder / "model/tokenizer.json"))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "[UNK]"}
    (folder / "model/tokenizer_config.json").write_text(json.dumps(settings))
    return folder


def job(stores, fitted, output, name, block_size=1, dump=False, **asked):
    grid, fixed = GRIDS[name]
    train = {"qk_train": str(stores / "qk/train"), "gold_train": str(stores / "gold/train")}
    inputs = {
        "qk": str(stores / "qk" / "validation"),
        "gold": str(stores / "gold" / "validation"),
        **(train if name == "gate" else {key: [] for key in train}),
        "projections": str(fitted / "projections.safetensors"),
        "centroids": str(fitted / "clusters.safetensors") if name == "kmeans" else [],
    }
    if not dump:
        inputs |= {"blocks": str(fitted / "blocks.safetensors"), "model": str(fitted / "model")}
    params = {"threads": 1, "predictor": name, "grid": grid, "fixed": fixed, "block_size": block_size, "device": "cpu"}
    params |= {"seed": 1, "asked": {"example": 0, "tokens": 5, "sparsity": 0.6} | asked}
    return SimpleNamespace(
        input=SimpleNamespace(**inputs), output=SimpleNamespace(map=str(output / "map.tsv")),
        params=SimpleNamespace(**params), log=[],
    )  # fmt: skip


@pytest.mark.parametrize("name, block_size", [("window", 1), ("window", 2), ("kmeans", 1), ("gate", 1)])
def test_a_map_is_written(name, block_size, small_stores, fitted, tmp_path):
    map_attention.main(job(small_stores, fitted, tmp_path, name, block_size))
    table = read_table(tmp_path / "map.tsv")
    assert tuple(table.columns) == COLUMNS
    assert table.groupby("layer")["head"].nunique().to_dict() == {0: 1, 1: 1} and table["point"].nunique() == 1
    assert table[["query", "key"]].stack().between(0, 4).all() and table["sparsity"].between(0, 1).all()
    assert ((table["probability"] > 0) | (table["predicted"] == 1)).all() and (table["predicted"] == 1).any()
    texts = ["[UNK]", "a b", '"', "<b>", "$"]
    assert table["query_token"].tolist() == [texts[place] for place in table["query"]]
    assert table["key_token"].tolist() == [texts[place] for place in table["key"]]


def test_another_example_has_its_own_tokens(small_stores, fitted, tmp_path):
    map_attention.main(job(small_stores, fitted, tmp_path, "window", example=1, tokens=40))
    table = read_table(tmp_path / "map.tsv")
    assert table["query"].max() == 10 and set(table["query_token"]) == {f"word{number}" for number in range(11, 22)}


def test_a_dump_has_positions_in_place_of_tokens(small_stores, fitted, tmp_path):
    map_attention.main(job(small_stores, fitted, tmp_path, "window", dump=True))
    table = read_table(tmp_path / "map.tsv")
    assert (table["query_token"] == table["query"]).all() and (table["key_token"] == table["key"]).all()


def test_two_runs_write_the_same_bytes(small_stores, fitted, tmp_path):
    for folder in ("first", "second"):
        map_attention.main(job(small_stores, fitted, tmp_path / folder, "kmeans"))
    first, second = ((tmp_path / folder / "map.tsv").read_bytes() for folder in ("first", "second"))
    assert first == second


def test_an_example_that_is_not_there_is_refused(small_stores, fitted, tmp_path):
    with pytest.raises(InputError, match=r"map_attention\.example: 2 is too high"):
        map_attention.main(job(small_stores, fitted, tmp_path, "window", example=2))
    assert list(tmp_path.iterdir()) == []
