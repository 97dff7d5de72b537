"""The registry's data sets of code are fetched and read, from local servers with small files in the same formats."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import yaml

from sparse_attention.data.code.prepare import CodeOptions, prepare
from sparse_attention.data.fetch import retrieve
from sparse_attention.data.registry import open_dataset
from sparse_attention.data.sources import osf, retrying
from sparse_attention.errors import InputError

CONFIG = Path(__file__).parents[3] / "config"
REGISTRY = yaml.safe_load((CONFIG / "datasets.yaml").read_text(encoding="utf-8"))
DEFAULTS = yaml.safe_load((CONFIG / "config.yaml").read_text(encoding="utf-8"))
FLAGS = ("CWE-119", "CWE-120", "CWE-469", "CWE-476", "CWE-other")


def source_of(split: str, number: int) -> str:
    """Return a C function of nine lines that is like no other one."""
    lines = [f"  {split}_{number}_{line} = call_{(number * 7 + line) % 97}(x{line});" for line in range(6)]
    return "\n".join([f"int {split}_{number}(int x)", "{", *lines, "}"])


def numbered(split: str, count: int = 12) -> tuple[list[str], np.ndarray]:
    return [source_of(split, number) for number in range(count)], np.arange(count) % 2 == 1


def hdf5(split: str) -> bytes:
    sources, labels = numbered(split)
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        file["functionSource"] = np.array(sources, dtype=h5py.string_dtype())
        for place, flag in enumerate(FLAGS):
            file[flag] = labels & (np.arange(len(labels)) // 2 % len(FLAGS) == place)
    return stream.getvalue()


def parquet(split: str) -> bytes:
    sources, labels = numbered(split)
    rows = {"id": range(len(labels)), "func": sources, "target": labels, "project": "FFmpeg", "commit_id": "0" * 40}
    stream = io.BytesIO()
    pd.DataFrame(rows).to_parquet(stream)
    return stream.getvalue()


def table(split: str) -> bytes:
    sources, labels = numbered(split)
    stream = io.StringIO()
    writer = csv.writer(stream)
    writer.writerow(["", "functionSource", "label"])
    writer.writerows(
        [number, source, int(label)] for number, (source, label) in enumerate(zip(sources, labels, strict=True))
    )
    return stream.getvalue().encode()


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(retrying, "PAUSE", 0.0)


@pytest.fixture
def draper(server, monkeypatch):
    """Serve the project as the API of the Open Science Framework tells it: in pages, one file inside a folder."""
    monkeypatch.setattr(osf, "API", f"{server.url}/v2")
    root = f"{server.url}/v2/nodes/d45bw/files/osfstorage/"

    def record(name: str, folder: str = "") -> dict:
        content = hdf5(name.removeprefix("VDISC_").removesuffix(".hdf5"))
        server.files[f"/download/{name}"] = content
        hashes = {"md5": "0" * 32, "sha256": hashlib.sha256(content).hexdigest()}
        attributes = {"kind": "file", "name": name, "materialized_path": f"/{folder}{name}", "size": len(content)}
        return {
            "attributes": attributes | {"extra": {"hashes": hashes}},
            "links": {"download": f"{server.url}/download/{name}"},
        }

    inside = {"related": {"href": f"{root}folder/"}}
    folder = {"attributes": {"kind": "folder", "name": "notes"}, "relationships": {"files": {"links": inside}}}
    pages = {
        "": {"data": [folder, record("VDISC_train.hdf5")], "links": {"next": f"{root}page2"}},
        "page2": {"data": [record("VDISC_validate.hdf5"), record("VDISC_test.hdf5")], "links": {"next": None}},
        "folder/": {"data": [record("more.hdf5", "notes/")], "links": {"next": None}},
    }
    for path, page in pages.items():
        server.files[f"/v2/nodes/d45bw/files/osfstorage/{path}"] = json.dumps(page).encode()
    return REGISTRY["draper-vdisc"]


@pytest.fixture
def devign(empty_hub):
    """Serve the data set as the Hugging Face hub does."""
    files = {f"data/{split}-00000-of-00001.parquet": parquet(split) for split in ("train", "validation", "test")}
    empty_hub.publish(REGISTRY["devign"]["source"], {".gitattributes": b"", "README.md": b"x", **files})
    return REGISTRY["devign"]


@pytest.fixture
def sparsecoder(zenodo):
    """Serve the record as Zenodo does."""
    entry, names = REGISTRY["zenodo-7606184"], ("train_subset.csv", "test.csv")
    zenodo.record(entry["source"]["record"], {name: table(name.split(".")[0]) for name in names})
    return entry | {"source": {**entry["source"], "server": zenodo.url}}


@pytest.mark.parametrize(
    ("name", "fixture", "counts"),
    [
        ("draper-vdisc", "draper", {"train": 12, "validation": 12, "test": 12}),
        ("devign", "devign", {"train": 12, "validation": 12, "test": 12}),
        ("zenodo-7606184", "sparsecoder", {"test": 12}),
    ],
    ids=["draper-vdisc", "devign", "zenodo-7606184"],
)
def test_the_shipped_entries_fetch_and_read(name, fixture, counts, request, tmp_path):
    retrieve(name, request.getfixturevalue(fixture), tmp_path / "receipt.json")
    prepared = prepare(
        open_dataset(tmp_path / "receipt.json"),
        DEFAULTS["code_corpora"][name],
        CodeOptions.of(DEFAULTS["prepare_code"]),
    )
    found = prepared.statistics.set_index("split")
    assert {split: found.loc[split, "functions"] for split in counts} == counts
    assert (found["positive"] >= 1).all() and found["positive"].sum() == 6 * max(len(counts), 2)
    for function in prepared.functions:
        split, number = function.source.split("(")[0].removeprefix("int ").rsplit("_", 1)
        assert function.label == int(number) % 2
        assert split.startswith(
            "train" if function.split == "validation" and name.startswith("zen") else function.split[:5]
        )


def test_checksums_come_from_the_project(draper, tmp_path):
    retrieve("draper-vdisc", draper, tmp_path / "receipt.json")
    receipt = json.loads((tmp_path / "receipt.json").read_text())
    assert set(receipt["source"]["downloads"]) == {f"VDISC_{split}.hdf5" for split in ("train", "validate", "test")}
    everything = {key: value for key, value in draper.items() if key != "files"}
    retrieve("draper-vdisc", everything, tmp_path / "all" / "receipt.json")
    assert (tmp_path / "all" / "notes" / "more.hdf5").is_file()


def test_content_that_differs_from_the_projects_is_refused(draper, server, tmp_path):
    server.files["/download/VDISC_test.hdf5"] = server.files["/download/VDISC_test.hdf5"][:-1] + b"!"
    with pytest.raises(InputError, match=r"VDISC_test\.hdf5 has the wrong checksum"):
        retrieve("draper-vdisc", draper, tmp_path / "receipt.json")


def test_files_that_a_project_lacks_are_named(draper, tmp_path):
    with pytest.raises(InputError, match=r"the project d45bw has no other\.hdf5; it has .*VDISC_train\.hdf5") as error:
        retrieve("draper-vdisc", draper | {"files": [{"path": "other.hdf5"}]}, tmp_path / "receipt.json")
    assert "To get it by hand: download other.hdf5 from https://osf.io/d45bw/" in str(error.value)


@pytest.mark.parametrize("answer", [None, b"no json", b"[]", b"{}"], ids=["absent", "not JSON", "a list", "no data"])
def test_the_error_for_an_unreachable_project_says_how_to_get_files_by_hand(answer, draper, server, tmp_path):
    server.files["/v2/nodes/d45bw/files/osfstorage/"] = answer
    with pytest.raises(InputError, match=r"cannot be fetched: .*osfstorage/") as error:
        retrieve("draper-vdisc", draper, tmp_path / "receipt.json")
    assert "download VDISC_train.hdf5 from https://osf.io/d45bw/" in str(error.value)
