"""The query/key store: round trips, damage, and memory that does not grow with the examples."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file

import sparse_attention
from sparse_attention.errors import InputError
from sparse_attention.files import room
from sparse_attention.qk.store import DTYPES, SIDECAR, QKInfo, QKReader, QKWriter, shard_path

LAYERS, HEADS, DIM = 2, 3, 4


def make_info(queries=(5, 1, 8), keys=None, **changes):
    documents = tuple(f"document {index}" for index in range(len(queries)))
    return QKInfo(LAYERS, HEADS, DIM, queries, keys or queries, documents, **changes)


def make_vectors(info):
    generator = torch.Generator().manual_seed(0)
    return {
        (layer, index): tuple(
            torch.randn(info.heads, lengths[index], info.head_dim, generator=generator)
            for lengths in (info.query_lengths, info.key_lengths)
        )
        for layer in range(info.layers)
        for index in range(info.examples)
    }


def write(folder, info, vectors):
    with QKWriter(folder, info) as writer:
        for layer, index in reversed(vectors):  # any order will do
            writer.write(layer, index, *vectors[layer, index])
    return folder


@pytest.fixture
def store(tmp_path):
    info = make_info()
    return write(tmp_path / "store", info, make_vectors(info))


INFOS = {
    "ragged": make_info(),
    "cross-attention": make_info((5, 1, 8), (2, 9, 8)),
    "causal": make_info(causal=True),
    "local": make_info(local_windows=(None, 2)),
    "one": make_info((1,)),
    "float16": make_info(dtype="float16"),
    "bfloat16": make_info(dtype="bfloat16"),
}


@pytest.mark.parametrize("info", INFOS.values(), ids=INFOS.keys())
def test_round_trip(tmp_path, info):
    vectors = make_vectors(info)
    reader = QKReader(write(tmp_path, info, vectors))
    assert reader.info == info
    for layer in range(info.layers):
        examples = list(reader.examples(layer))
        assert [example.index for example in examples] == list(range(info.examples))
        for example in examples:
            queries, keys = (x.to(DTYPES[info.dtype]).float() for x in vectors[layer, example.index])
            assert torch.equal(example.queries, queries)
            assert torch.equal(example.keys, keys)
            assert example.queries.dtype == example.keys.dtype == torch.float32
            for i, row in enumerate(example.valid):
                for j, valid in enumerate(row):
                    window = info.local_windows[layer]
                    assert valid == ((not info.causal or j <= i) and (window is None or abs(i - j) <= window))


def test_shards_are_plain_safetensors(tmp_path):
    info = make_info((5, 1, 8), (2, 9, 8))
    vectors = make_vectors(info)
    tensors = load_file(shard_path(write(tmp_path, info, vectors), 1))
    for name, which in (("queries", 0), ("keys", 1)):
        joined = torch.cat([vectors[1, index][which] for index in range(3)], dim=1)
        assert torch.equal(tensors[name], joined.transpose(0, 1))


def test_equal_input_gives_equal_bytes(tmp_path):
    info = make_info()
    vectors = make_vectors(info)
    files = [{path.name: path.read_bytes() for path in write(tmp_path / n, info, vectors).iterdir()} for n in "ab"]
    assert files[0] == files[1]


def test_sidecar_tells_the_shapes(store):
    content = json.loads((store / SIDECAR).read_text())
    assert content["shards"]["layer~1.safetensors"] == {"queries": [14, HEADS, DIM], "keys": [14, HEADS, DIM]}


def test_unfinished_store_cannot_be_read(tmp_path):
    info = make_info()
    with pytest.raises(ValueError, match="layer 0, example 1 was never written"), QKWriter(tmp_path, info) as writer:
        writer.write(0, 0, *make_vectors(info)[0, 0])
    with pytest.raises(InputError, match=SIDECAR):
        QKReader(tmp_path)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_numbers_that_are_not_finite_are_refused(tmp_path, bad):
    info = make_info()
    queries, keys = make_vectors(info)[0, 2]
    keys[1, 3, 2] = bad
    with (
        QKWriterThatStops(tmp_path, info) as writer,
        pytest.raises(InputError, match=r"keys of layer 0, example 2.*NaN"),
    ):
        writer.write(0, 2, queries, keys)


def test_numbers_outside_the_range_of_the_dtype_are_refused(tmp_path):
    info = make_info(dtype="float16")
    queries, keys = make_vectors(info)[0, 0]
    with QKWriterThatStops(tmp_path, info) as writer, pytest.raises(InputError, match="do not fit into float16"):
        writer.write(0, 0, queries * 1e6, keys)


class QKWriterThatStops(QKWriter):
    """A writer that need not be complete."""

    def close(self):
        self.abandon()


def test_wrong_shape_is_a_programming_error(tmp_path):
    info = make_info()
    queries, keys = make_vectors(info)[0, 0]
    with QKWriterThatStops(tmp_path, info) as writer, pytest.raises(ValueError, match="queries of example 1"):
        writer.write(0, 1, queries, keys)


def truncate(path):
    path.write_bytes(path.read_bytes()[:-1])


def lengthen(path):
    path.write_bytes(path.read_bytes() + b"\0")


def scramble_header(path):
    content = bytearray(path.read_bytes())
    content[8:20] = b"\xff" * 12
    path.write_bytes(content)


def poison(path):
    content = bytearray(path.read_bytes())
    content[-4:] = b"\x00\x00\xc0\x7f"  # a NaN
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (Path.unlink, "there is no such file"),
        (truncate, "truncated"),
        (lengthen, "damaged"),
        (lambda path: path.write_bytes(b""), "truncated"),
        (lambda path: path.write_bytes(b"PK not safetensors"), "truncated or not safetensors"),
        (scramble_header, "damaged"),
        (poison, "example 2.*NaN"),
    ],
    ids=["missing", "truncated", "longer", "empty", "other format", "header", "NaN"],
)
def test_damaged_shard_is_named(store, damage, message):
    damage(shard_path(store, 1))
    with pytest.raises(InputError, match=rf"layer~1.safetensors: .*{message}"):
        list(QKReader(store).examples(1))


def edit(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "other"}, "not a sidecar"),
        ({"version": 99}, "version 1"),
        ({"query_lengths": [5, 1]}, "same number"),
        ({"query_lengths": [], "key_lengths": [], "documents": []}, "at least one example"),
        ({"query_lengths": [5, 0, 9]}, "at least 1"),
        ({"query_lengths": [5, 1.5, 8]}, "query_lengths .*allowed: a list, each a whole number"),
        ({"query_lengths": 5}, "query_lengths '5'; allowed: a list"),
        ({"head_dim": "4"}, "head_dim '4'; allowed: a whole number"),
        ({"heads": True}, "heads 'True'; allowed: a whole number"),
        ({"causal": "no"}, "causal 'no'; allowed: true or false"),
        ({"alpha": float("nan")}, "alpha"),
        ({"local_windows": [None, -1]}, "local_windows .*from 0 on, or null"),
        ({"layers": 10**12, "local_windows": []}, "local_windows has 0 entries; allowed: 1000000000000"),
        ({"local_windows": [None]}, "local_windows"),
        ({"dtype": "int8"}, "int8"),
        ({"alpha": 3}, "alpha"),
        ({"layers": 0}, "layers"),
        ({"layers": "two"}, "layers 'two'; allowed: a whole number"),
        ({"surprise": 1}, "holds the unknown 'surprise'; allowed: alpha"),
    ],
    ids=str,
)
def test_damaged_sidecar_is_named(store, changes, message):
    edit(store / SIDECAR, **changes)
    with pytest.raises(InputError, match=f"{SIDECAR}: .*{message}"):
        QKReader(store)


def test_sidecar_that_is_not_json_is_named(store):
    truncate(store / SIDECAR)
    truncate(store / SIDECAR)
    with pytest.raises(InputError, match=f"{SIDECAR}: not valid JSON"):
        QKReader(store)


def test_sidecar_of_other_shards_is_refused(store):
    edit(store / SIDECAR, query_lengths=[5, 2, 8])
    with pytest.raises(
        InputError, match=r"layer~0.safetensors: holds queries \(14, 3, 4\).*expected queries \(15, 3, 4\)"
    ):
        QKReader(store)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="reads the peak memory in kilobytes, as Linux tells it")
def test_memory_does_not_grow_with_examples(tmp_path):
    code = """
        import resource, sys, torch
        from sparse_attention.qk.store import QKInfo, QKReader, QKWriter
        torch.set_num_threads(1)
        lengths = (256,) * 64
        info = QKInfo(8, 4, 32, lengths, lengths, ("a",) * 64)
        vectors = torch.ones(4, 256, 32)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with QKWriter(sys.argv[1], info) as writer:
            for index in range(64):
                for layer in range(8):
                    writer.write(layer, index, vectors, vectors)
        for layer in range(8):
            for example in QKReader(sys.argv[1]).examples(layer):
                assert example.queries.shape == (4, 256, 32)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    """
    scripts = Path(sparse_attention.__file__).parent.parent
    call = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path)]
    result = subprocess.run(call, env={"PYTHONPATH": str(scripts)}, capture_output=True, text=True, check=True)
    on_disk = sum(path.stat().st_size for path in tmp_path.iterdir())
    assert on_disk > 130e6
    assert int(result.stdout) * 1024 < on_disk / 8


def test_a_disk_without_room_is_refused_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(room.shutil, "disk_usage", lambda _: SimpleNamespace(free=100))
    with pytest.raises(InputError, match="are needed in .*, but 100 bytes are free"):
        QKWriter(tmp_path / "qk", make_info())
    with pytest.raises(InputError):
        QKReader(tmp_path / "qk")
