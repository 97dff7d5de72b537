from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
import torch

import fit_projections
from sparse_attention.errors import InputError
from sparse_attention.files.tables import read_table
from sparse_attention.projections.model import Projections
from sparse_attention.projections.weights import ProjectionSetting

OPTIONS = {"source": None, "distance": "l2", "margin": 1.0, "learning_rate": 0.01, "weight_decay": 0.0, "epochs": 3,
           "max_steps": None, "batch_size": 2, "accumulation": 1, "max_grad_norm": 1.0, "eval_steps": 4,
           "eval_examples": 2}  # fmt: skip
SETTINGS = {
    "linear": {"kind": "linear", "dim": 2, "shared": True},
    "separate": {"kind": "linear", "dim": 3, "shared": False},
    "mlp": {"kind": "mlp", "dim": 2, "hidden": 5, "shared": True},
    "blocks": {"kind": "linear", "dim": 2, "shared": False, "block_size": 4},
    "concat": {"kind": "linear", "dim": 2, "shared": True, "concat": True},
    "mlp with blocks and concat": {
        "kind": "mlp", "dim": 2, "hidden": 5, "shared": True, "block_size": 2, "concat": True,
    },
}  # fmt: skip


def fit(stores, output, setting, seed=1, **options):
    inputs = {
        f"{kind}_{split}": str(stores / kind / split) for kind in ("qk", "gold") for split in ("train", "validation")
    }
    files = {"projections": "p.safetensors", "info": "p.json", "original": "p.pt", "curves": "curves.tsv"}
    params = {"threads": 1, "device": "cpu", "setting": setting, "options": OPTIONS | options, "seed": seed}
    fit_projections.main(
        SimpleNamespace(
            input=SimpleNamespace(**inputs),
            output=SimpleNamespace(**{name: str(output / file) for name, file in files.items()}),
            params=SimpleNamespace(**params),
        )
    )
    return Projections.load(output / "p.safetensors"), read_table(output / "curves.tsv")


@pytest.mark.parametrize("name", SETTINGS)
def test_projections_sidecar_original_and_curves(small_stores, tmp_path, name):
    projections, curves = fit(small_stores, tmp_path, SETTINGS[name])
    assert projections.setting == ProjectionSetting.of(SETTINGS[name])
    assert (len(projections.layers), projections.heads, projections.head_dim) == (2, 3, 6)
    original = Projections.load(tmp_path / "p.pt", projections.setting)
    assert original.setting == projections.setting and original.tensors().keys() == projections.tensors().keys()
    info = json.loads((tmp_path / "p.json").read_text())
    assert {key: info[key] for key in SETTINGS[name]} == SETTINGS[name]
    assert info["layers"] == 2 and info["source"] == {"fitted": OPTIONS, "seed": 1}
    assert list(curves.columns) == ["layer", "step", "split", "loss", "recall", "sparsity"]
    assert [(row.layer, row.step, row.split) for row in curves.itertuples()] == [
        (layer, step, split) for layer in (0, 1) for step in (0, 4, 6) for split in ("train", "validation")
    ]
    assert curves[["loss", "recall", "sparsity"]].notna().all(axis=None)


def test_the_same_seed_gives_the_same_bytes_whatever_was_drawn_before(small_stores, tmp_path):
    for name, seed in (("first", 1), ("again", 1), ("other", 2)):
        torch.rand(5)
        fit(small_stores, tmp_path / name, SETTINGS["linear"], seed)
    for file in ("p.safetensors", "p.json", "p.pt", "curves.tsv"):
        first, again, other = ((tmp_path / name / file).read_bytes() for name in ("first", "again", "other"))
        assert first == again and first != other


def test_every_option_changes_the_result(small_stores, tmp_path):
    def fitted(name, **options):
        return fit(small_stores, tmp_path / name, SETTINGS["linear"], **options)[0].layers[1][0]["w"]

    plain = fitted("plain")
    changes = {"distance": "min", "margin": 9.0, "learning_rate": 0.1, "weight_decay": 0.5, "epochs": 4, "max_steps": 2,
               "batch_size": 3, "accumulation": 2, "max_grad_norm": 1e-9}  # fmt: skip
    for name, value in changes.items():
        assert not torch.equal(fitted(name, **{name: value}), plain), name
    assert torch.equal(fitted("eval", eval_steps=1, eval_examples=1), plain)


def test_blocks_and_joint_projections_are_fitted_to_their_own_loss(small_stores, tmp_path):
    setting, weights = SETTINGS["linear"], set()
    for number, form in enumerate(({}, {"block_size": 2}, {"block_size": 3}, {"concat": True})):
        projections, curves = fit(small_stores, tmp_path / str(number), setting | form)
        start = curves[(curves["step"] == 0) & (curves["split"] == "train")]["loss"]
        weights.add((*projections.layers[0][0]["w"][0, 0].tolist(), *start))
    assert len(weights) == 4


def test_a_kind_that_nothing_can_be_fitted_to_is_refused(small_stores, tmp_path):
    with pytest.raises(InputError, match=r"projections\.kind: 'none'"):
        fit(small_stores, tmp_path, {"kind": "none"})


def test_the_record_of_an_import_goes(small_stores, tmp_path):
    (tmp_path / "imported.json").touch()
    fit(small_stores, tmp_path, SETTINGS[next(iter(SETTINGS))])
    assert not (tmp_path / "imported.json").exists()
