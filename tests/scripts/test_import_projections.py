from __future__ import annotations

import hashlib
import json
from types import SimpleNamespace

import pytest
import torch

import import_projections
from receipts import receipt_of
from sparse_attention.errors import InputError
from sparse_attention.projections.model import Projections
from sparse_attention.projections.weights import ProjectionSetting, initial_weights

SETTINGS = {
    "linear": {"kind": "linear", "dim": 2, "shared": True},
    "separate": {"kind": "linear", "dim": 2, "shared": False},
    "mlp": {"kind": "mlp", "dim": 2, "hidden": 5, "shared": True},
    "blocks": {"kind": "linear", "dim": 2, "shared": False, "block_size": 4},
    "concat": {"kind": "linear", "dim": 2, "shared": True, "concat": True},
    "mlp with blocks and concat": {
        "kind": "mlp", "dim": 2, "hidden": 5, "shared": True, "block_size": 2, "concat": True,
    },
}  # fmt: skip


def make(setting, layers=2, heads=3, head_dim=6):
    generator = torch.Generator().manual_seed(0)
    pairs = []
    for _ in range(layers):
        queries, keys = (initial_weights(ProjectionSetting.of(setting), heads, head_dim, generator) for _ in range(2))
        pairs.append((queries, queries if setting["shared"] else keys))
    return Projections.of(pairs, block_size=setting.get("block_size", 1), concat=setting.get("concat", False))


def take(shape, folder, source, setting):
    files = {"projections": "p.safetensors", "info": "p.json", "original": "p.pt", "imported": "imported.json"}
    receipt = receipt_of(source, folder, "projections")
    import_projections.main(
        SimpleNamespace(
            input=SimpleNamespace(source=receipt, shape=str(shape)),
            output=SimpleNamespace(**{name: str(folder / "out" / file) for name, file in files.items()}),
            params=SimpleNamespace(setting=setting),
        )
    )
    return Projections.load(folder / "out" / "p.safetensors")


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("theirs", [True, False], ids=["original file", "our file"])
def test_both_formats_come_in_unchanged(shaped, tmp_path, name, theirs):
    projections, source = make(SETTINGS[name]), tmp_path / "mine.bin"
    projections.save_original(source) if theirs else projections.save(source)
    taken = take(shaped, tmp_path, source, SETTINGS[name])
    assert all(torch.equal(value, projections.tensors()[key]) for key, value in taken.tensors().items())
    info = json.loads((tmp_path / "out" / "p.json").read_text())
    assert info["source"] == {"imported": "mine.bin", "sha256": hashlib.sha256(source.read_bytes()).hexdigest()}
    assert taken.setting == projections.setting and {key: info[key] for key in SETTINGS[name]} == SETTINGS[name]
    assert (tmp_path / "out" / "p.pt").read_bytes() == source.read_bytes() or not theirs


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layers": 3}, "layers is 3, must be 2, as in the .* in "),
        ({"heads": 4}, "heads is 4, must be 3, as in the .* in "),
        ({"head_dim": 8}, "head_dim is 8, must be 6"),
        ({"setting": SETTINGS["separate"]}, "shared is False, must be True"),
        ({"setting": SETTINGS["linear"] | {"dim": 4}}, "dim is 4, must be 2"),
        ({"setting": SETTINGS["mlp"]}, "kind is mlp, must be linear"),
        ({"setting": SETTINGS["concat"]}, r"head_dim is 12, must be 6, .*projections\.concat: true"),
    ],
    ids=["layers", "heads", "head_dim", "shared", "dim", "kind", "concat"],
)
def test_projections_of_something_else_are_refused_and_nothing_is_written(shaped, tmp_path, changes, message):
    make(**{"setting": SETTINGS["linear"]} | changes).save_original(tmp_path / "mine.pt")
    with pytest.raises(InputError, match=message) as caught:
        take(shaped, tmp_path, tmp_path / "mine.pt", SETTINGS["linear"])
    assert "fit_projections.source" in str(caught.value) and "mine.pt" in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_our_file_tells_its_blocks_and_an_original_one_does_not(shaped, tmp_path):
    make(SETTINGS["separate"]).save(tmp_path / "mine.safetensors")
    make(SETTINGS["separate"]).save_original(tmp_path / "mine.pt")
    with pytest.raises(InputError, match=r"projections\.block_size is 1, must be 4"):
        take(shaped, tmp_path, tmp_path / "mine.safetensors", SETTINGS["blocks"])
    assert take(shaped, tmp_path, tmp_path / "mine.pt", SETTINGS["blocks"]).setting.block_size == 4


def test_a_file_that_is_not_there_is_named(shaped, tmp_path):
    with pytest.raises(InputError, match=r"missing\.pt: no such file or folder"):
        take(shaped, tmp_path, tmp_path / "missing.pt", SETTINGS["linear"])


def test_what_was_taken_is_written_down(shaped, tmp_path):
    make(SETTINGS["linear"]).save_original(tmp_path / "mine.pt")
    take(shaped, tmp_path, tmp_path / "mine.pt", SETTINGS["linear"])
    (taken,) = json.loads((tmp_path / "out" / "imported.json").read_text())["files"]
    assert taken["sha256"] == hashlib.sha256((tmp_path / "mine.pt").read_bytes()).hexdigest()
