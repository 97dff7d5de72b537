from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

import retrieve
from archived_runs import OUTPUTS, ROOT, make_results
from sparse_attention.archiving.packing import pack
from sparse_attention.errors import InputError


def snakemake(folder, path, kind="text"):
    entry = {"kind": kind, "version": "local", "source": {"type": "path", "path": str(path)}}
    return SimpleNamespace(
        input=SimpleNamespace(local=[str(path)]),
        output=SimpleNamespace(receipt=str(folder / "resources/mine/local/receipt.json")),
        params=SimpleNamespace(dataset="mine", entry=entry, code="x"),
        log=[],
    )


def test_the_receipt_names_the_users_file(tmp_path):
    (tmp_path / "a.txt").write_text("text", encoding="utf-8")
    retrieve.main(snakemake(tmp_path, tmp_path / "a.txt"))
    receipt = json.loads((tmp_path / "resources/mine/local/receipt.json").read_text())
    assert receipt["dataset"] == "mine" and receipt["files"][0]["path"] == "a.txt"


def test_a_missing_file_is_an_error_of_the_user(tmp_path):
    with pytest.raises(InputError, match=r"none\.txt: no such file"):
        retrieve.main(snakemake(tmp_path, tmp_path / "none.txt"))


def test_a_folder_that_is_no_model_is_refused(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights.bin").write_bytes(b"x")
    with pytest.raises(InputError, match=r"not a Hugging Face model folder: config\.json is missing"):
        retrieve.main(snakemake(tmp_path, tmp_path / "model", kind="model"))


def test_a_bundle_with_a_changed_file_is_refused_before_results_are_taken_from_it(tmp_path):
    make_results(tmp_path / "run")
    pack(tmp_path / "bundle", OUTPUTS, ["tables"], tmp_path / "run", ROOT)
    retrieve.main(snakemake(tmp_path, tmp_path / "bundle", kind="archive"))
    (tmp_path / "bundle/results/tables/predictors.tsv").write_text("other numbers")
    with pytest.raises(InputError, match=r"results/tables/predictors\.tsv has the wrong checksum"):
        retrieve.main(snakemake(tmp_path, tmp_path / "bundle", kind="archive"))
