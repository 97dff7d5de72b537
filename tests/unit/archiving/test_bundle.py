from __future__ import annotations

import json
import os
import zipfile

import pytest

from sparse_attention.archiving.bundle import INDEX, Bundle, open_retrieved
from sparse_attention.data.fetch import retrieve
from sparse_attention.errors import InputError

MODEL = "results/models/wiki/small/entmax~1.5/seed~1/model"
TABLE = "results/tables/predictors.tsv"


@pytest.fixture(params=["bundle.zip", "bundle"], ids=["zip", "folder"])
def place(request, packed):
    return packed(request.param, "models", "tables")


@pytest.fixture
def here(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def damage(place, name, content: bytes):
    """Give a file in a bundle another content, or remove it."""
    if place.is_dir():
        (place / name).write_bytes(content) if content else (place / name).unlink()
        return
    with zipfile.ZipFile(place) as archive:
        files = {entry: archive.read(entry) for entry in archive.namelist()}
    with zipfile.ZipFile(place, "w") as archive:
        for entry, old in files.items():
            if entry != name or content:
                archive.writestr(entry, content if entry == name else old)


def test_files_and_folders_come_back_as_they_were(place, run, here):
    bundle = Bundle(place)
    for path in (TABLE, MODEL):
        bundle.restore(path)
    assert (here / TABLE).read_bytes() == (run / TABLE).read_bytes()
    assert {file.relative_to(here / MODEL).as_posix() for file in (here / MODEL).rglob("*.*")} == {
        "a.safetensors",
        "inner/b.json",
    }
    assert (here / MODEL / "a.safetensors").read_bytes() == bytes(range(256))


def test_what_a_bundle_lacks_is_named_with_its_stages(place, here):
    with pytest.raises(InputError, match="holds no results/qk/x, only files of the stages models, tables"):
        Bundle(place).restore("results/qk/x")
    assert not [path for path in here.rglob("*") if path.is_file()]


def test_a_file_that_was_changed_is_not_restored(place, here):
    damage(place, TABLE, b"other numbers")
    with pytest.raises(InputError, match=r"predictors\.tsv has the wrong checksum: expected sha256 .*; fetch it again"):
        Bundle(place).restore(TABLE)
    assert not (here / TABLE).exists() and not list(here.rglob("*.partial*"))


def test_a_folder_with_a_changed_file_is_not_restored(place, here):
    damage(place, f"{MODEL}/inner/b.json", b"{}")
    with pytest.raises(InputError, match="wrong checksum"):
        Bundle(place).restore(MODEL)
    assert not (here / MODEL).exists()


def test_a_file_that_is_gone_is_named(place, here):
    damage(place, TABLE, b"")
    with pytest.raises(InputError, match=r"results/tables/predictors\.tsv is missing; allowed: the files that bundle"):
        Bundle(place).restore(TABLE)


def test_a_name_that_leads_out_of_its_folder_is_refused(place, here):
    index = json.loads(zipfile.ZipFile(place).read(INDEX) if place.is_file() else (place / INDEX).read_bytes())
    index["files"][0]["path"] = f"{MODEL}/../../evil"
    damage(place, INDEX, json.dumps(index).encode())
    with pytest.raises(InputError, match=r"evil' is not allowed; allowed: names without \.\."):
        Bundle(place).restore(MODEL)
    assert not list(here.rglob("evil"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"[]", "holds no JSON object", id="list"),
        pytest.param(b"{", "bundle", id="cut"),
        pytest.param(b'{"format": 2}', "format 2 is not allowed; allowed: 1", id="format"),
        pytest.param(b'{"format": 1, "config": {}}', "is damaged", id="keys"),
        pytest.param(b'{"format": 1, "config": {}, "stages": [], "data": [], "files": [{}]}', "is damaged", id="files"),
        pytest.param(
            b'{"format": 1, "config": {}, "stages": [], "data": [], "files": [{"path": 5, "size": 1, "sha256": "a"}]}',
            r"bundle\.json is damaged \(TypeError: path 5 of a file\); allowed: a bundle",
            id="path",
        ),
    ],
)
def test_a_damaged_index_is_one_line(place, content, message):
    damage(place, INDEX, content)
    with pytest.raises(InputError, match=message):
        Bundle(place)


def test_a_zip_file_that_is_cut_is_one_line(packed):
    place = packed("cut.zip", "tables")
    place.write_bytes(place.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"cut\.zip: not a bundle \(.*\); allowed: a bundle"):
        Bundle(place)


def changed_bytes(place, name, at):
    """Change bytes in the packed content of a file, or say in the zip file's lists that it is encrypted."""
    content = bytearray(place.read_bytes())
    with zipfile.ZipFile(place) as archive:
        entry = archive.getinfo(name)
    if at == "flag":
        content[entry.header_offset + 6] |= 1
        content[content.rfind(b"PK\x01\x02", 0, content.rfind(name.encode())) + 8] |= 1
    else:
        start = entry.header_offset + 30 + len(name) + (20 if name != INDEX else 0)
        content[start : start + 40] = bytes(byte ^ 0x5A for byte in content[start : start + 40])
    place.write_bytes(content)


@pytest.mark.parametrize("at", ["content", "flag"])
def test_a_zip_file_with_damaged_or_encrypted_content_is_one_line(packed, here, at):
    place = packed("one.zip", "tables")
    changed_bytes(place, TABLE, at)
    with pytest.raises(InputError, match=r"one\.zip: results/tables/predictors\.tsv is damaged \(.*fetch it again"):
        Bundle(place).restore(TABLE)
    assert not (here / TABLE).exists()
    changed_bytes(place, INDEX, at)
    with pytest.raises(InputError, match=r"one\.zip: not a bundle \("):
        Bundle(place)


def test_a_name_that_is_too_long_is_one_line(tmp_path):
    with pytest.raises(InputError, match=r": (cannot be read|not a bundle) \(.*too long"):
        Bundle(tmp_path / ("x" * 300))


@pytest.mark.parametrize("content", [b"other numbers", b""], ids=["changed", "missing"])
def test_the_whole_bundle_can_be_checked(place, content):
    Bundle(place).check(about=True)
    damage(place, "LICENSE", content)
    Bundle(place).check()
    with pytest.raises(InputError, match="LICENSE (has the wrong checksum|is missing)"):
        Bundle(place).check(about=True)
    damage(place, TABLE, content)
    with pytest.raises(InputError, match=r"predictors\.tsv (has the wrong checksum|is missing)"):
        Bundle(place).check()


def test_a_folder_that_is_no_bundle_is_one_line(tmp_path):
    with pytest.raises(InputError, match=INDEX):
        Bundle(tmp_path)


def retrieved(path, receipt):
    """Retrieve a bundle of the user's own, and return the one that its receipt leads to."""
    entry = {"kind": "archive", "version": "local", "source": {"type": "path", "path": os.fspath(path)}}
    retrieve("bundle", entry, receipt)
    return open_retrieved(str(receipt))


@pytest.mark.parametrize("name", ["bundle.zip", "bundle"], ids=["zip", "folder"])
def test_a_bundle_is_found_through_its_receipt(packed, tmp_path, name):
    assert retrieved(packed(name, "tables"), tmp_path / "receipt.json").stages == ["tables"]


@pytest.mark.parametrize("name", ["bundle.zip?download=1", "bundle.ZIP", "bundle", "bundle.zip"], ids=ascii)
def test_the_file_that_is_named_is_taken_whatever_its_name_and_neighbours(packed, tmp_path, name):
    place = tmp_path / "named" / name
    place.parent.mkdir()
    place.write_bytes(packed("one.zip", "tables").read_bytes())
    assert Bundle(place.parent).place == place  # the only zip file in the folder
    (place.parent / "other-run.zip").write_bytes(packed("two/two.zip", "figures").read_bytes())
    for bundle in Bundle(place), retrieved(place, tmp_path / "receipt.json"):
        assert (bundle.place, bundle.stages) == (place, ["tables"])


def test_of_several_zip_files_in_a_folder_none_is_taken(packed, tmp_path):
    for name in ("first.zip", "second.zip"):
        (tmp_path / "both").mkdir(exist_ok=True)
        (tmp_path / "both" / name).write_bytes(packed("one.zip", "tables").read_bytes())
    for read in (Bundle, lambda folder: retrieved(folder, tmp_path / "receipt.json")):
        with pytest.raises(InputError, match=r"both: holds zip files: first\.zip, second\.zip; .* one zip file"):
            read(tmp_path / "both")
