"""Dumps of the originals: what they may hold, what is refused, and that nothing in them is run."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import textwrap
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch

import sparse_attention
from sparse_attention.errors import InputError
from sparse_attention.files.tensors import read_torch
from sparse_attention.originals.dumps import Dump
from sparse_attention.qk.dump_writing import write_dump
from sparse_attention.qk.store import QKInfo, QKReader, QKWriter

LAYERS, HEADS, DIM = 2, 3, 4
LENGTHS = (5, 1, 8)


def tensors(lengths=LENGTHS, padding=0, dtype=torch.float32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(LAYERS, HEADS, n + padding, DIM, generator=generator).to(dtype) for n in lengths]


def dump(**changes):
    content = {"length_src": list(LENGTHS), "q": tensors(), "k": tensors(seed=1), **changes}
    return {key: value for key, value in content.items() if value is not None}


def save(path, content, **options):
    torch.save(content, path, **options)
    return path


@pytest.mark.parametrize(
    "lengths",
    [
        list(LENGTHS),
        tuple(LENGTHS),
        [float(length) for length in LENGTHS],
        [torch.tensor(length) for length in LENGTHS],
        torch.tensor(LENGTHS),
        torch.tensor(LENGTHS, dtype=torch.float32),
        torch.tensor(LENGTHS, dtype=torch.int16),
    ],
    ids=["ints", "tuple", "floats", "scalars", "int64", "float32", "int16"],
)
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "before torch 1.6"])
def test_reads_lengths_of_every_kind(tmp_path, lengths, zipped):
    path = save(tmp_path / "x_enc-attn.pt", dump(length_src=lengths), _use_new_zipfile_serialization=zipped)
    read = Dump(path)
    assert read.query_lengths == read.key_lengths == LENGTHS
    assert (read.layers, read.heads, read.head_dim) == (LAYERS, HEADS, DIM)
    for index in range(3):
        queries, keys = read.example(index)
        assert torch.equal(queries, dump()["q"][index])
        assert torch.equal(keys, dump()["k"][index])


def test_parts_come_example_by_example(tmp_path):
    content = dump()
    parts = list(Dump(save(tmp_path / "x.pt", content)).parts())
    assert [part[:2] for part in parts] == [(layer, index) for index in range(3) for layer in range(LAYERS)]
    for layer, index, queries, keys in parts:
        assert torch.equal(queries, content["q"][index][layer])
        assert torch.equal(keys, content["k"][index][layer])


def test_padding_is_cut_whatever_it_holds(tmp_path):
    content = dump(q=tensors(padding=3), k=tensors(padding=3, seed=1))
    for padded, length in zip(content["q"] + content["k"], LENGTHS * 2, strict=True):
        padded[:, :, length:] = float("nan")
    read = Dump(save(tmp_path / "x.pt", content))
    for index, length in enumerate(LENGTHS):
        queries, keys = read.example(index)
        assert torch.equal(queries, content["q"][index][:, :, :length])
        assert torch.equal(keys, content["k"][index][:, :, :length])


def test_queries_have_the_target_length_in_translation(tmp_path):
    target = (2, 7, 3)
    read = Dump(save(tmp_path / "x.pt", dump(length_trg=torch.tensor(target), q=tensors((9, 9, 9)))))
    assert (read.query_lengths, read.key_lengths) == (target, LENGTHS)
    for index in range(3):
        queries, keys = read.example(index)
        assert (queries.shape[2], keys.shape[2]) == (target[index], LENGTHS[index])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64], ids=str)
def test_vectors_become_float32(tmp_path, dtype):
    queries, _ = Dump(save(tmp_path / "x.pt", dump(q=tensors(dtype=dtype)))).example(2)
    assert torch.equal(queries, tensors(dtype=dtype)[2].float())


def test_parameters_and_ordered_dicts_are_tensors_and_dicts(tmp_path):
    content = OrderedDict(dump(q=[torch.nn.Parameter(q) for q in tensors()]))
    queries, _ = Dump(save(tmp_path / "x.pt", content)).example(0)
    assert not queries.requires_grad


def replaced(name, index, tensor):
    content = dump()
    content[name][index] = tensor
    return content


def with_number(value):
    tensor = tensors()[2]
    tensor[1, 2, 3, 0] = value
    return replaced("k", 2, tensor)


BAD = {
    "no dict": ([1, 2], r"holds a list; allowed: a dict of length_src, q, k"),
    "missing key": (dump(k=None), r"lacks k; allowed"),
    "wrong keys": ({"queries": [], "keys": []}, r"lacks length_src, q, k and holds 'queries', 'keys'; allowed"),
    "unknown key": (dump(length_tgt=[1, 2, 3]), r"holds 'length_tgt'; allowed.*length_trg"),
    "zero examples": (dump(length_src=[], q=[], k=[]), r"holds no examples; allowed: at least one"),
    "q is a tensor": (dump(q=torch.zeros(3, LAYERS, HEADS, 8, DIM)), r"q is a Tensor; allowed: a list of tensors"),
    "q holds numbers": (dump(q=[1.0, 2.0, 3.0]), r"example 0: q is a float; allowed: a tensor"),
    "fewer k than q": (dump(k=tensors()[:2]), r"2 tensors in k; allowed: 3"),
    "fewer lengths": (dump(length_src=[5, 1]), r"2 lengths in length_src; allowed: 3"),
    "lengths in a dict": (dump(length_src={"0": 5}), r"length_src is a dict; allowed: a list of ints or a 1-D tensor"),
    "2-D lengths": (dump(length_src=torch.ones(3, 1)), r"length_src is a Tensor; allowed"),
    "length zero": (dump(length_src=[5, 0, 8]), r"example 1: length_src is 0; allowed: whole numbers from 1"),
    "half a token": (dump(length_src=[5, 1, 7.5]), r"example 2: length_src is 7.5; allowed: whole"),
    "length NaN": (dump(length_src=torch.tensor([float("nan"), 1, 8])), r"example 0: length_src is nan; allowed"),
    "length infinite": (dump(length_src=[5, 1, float("inf")]), r"example 2: length_src is inf; allowed"),
    "length longer than k": (dump(length_src=[5, 2, 8]), r"example 1: q has 1 tokens; allowed: at least its length, 2"),
    "length_trg longer than q": (
        dump(length_trg=[5, 1, 9]),
        r"example 2: q has 8 tokens; allowed: at least its length, 9",
    ),
    "other layers": (replaced("k", 1, torch.ones(1, HEADS, 1, DIM)), r"example 1: k has shape \(1, 3, 1, 4\)"),
    "other heads": (replaced("k", 1, torch.ones(LAYERS, 2, 1, DIM)), r"example 1: k has shape \(2, 2, 1, 4\)"),
    "other head_dim": (replaced("q", 2, torch.ones(LAYERS, HEADS, 8, 5)), r"example 2: q has shape \(2, 3, 8, 5\)"),
    "3-D": (replaced("q", 0, torch.ones(HEADS, 5, DIM)), r"example 0: q has shape \(3, 5, 4\); allowed: \(layers"),
    "no layers": (replaced("q", 0, torch.ones(0, HEADS, 5, DIM)), r"example 0: q has shape \(0, 3, 5, 4\); allowed"),
    "integers": (
        replaced("k", 1, torch.ones(LAYERS, HEADS, 1, DIM).long()),
        r"example 1: k is int64; allowed: float32, float16",
    ),
    "complex": (replaced("k", 1, torch.ones(LAYERS, HEADS, 1, DIM) + 0j), r"example 1: k is complex64; allowed"),
    "sparse": (
        replaced("q", 0, torch.ones(LAYERS, HEADS, 5, DIM).to_sparse()),
        r"the tensor at \['q'\]\[0\] is sparse_coo; allowed: dense",
    ),
    "no numbers": (
        replaced("k", 2, torch.ones(LAYERS, HEADS, 8, DIM, device="meta")),
        r"the tensor at \['k'\]\[2\] holds no numbers \(device meta\)",
    ),
    "far more than the file": (
        replaced("k", 2, torch.zeros(1).expand(LAYERS, HEADS, 10**11, DIM)),
        r"the tensor at \['k'\]\[2\] has the shape \(2, 3, 100000000000, 4\), but fewer numbers",
    ),
    "NaN": (with_number(float("nan")), r"example 2: k holds NaN or infinity; allowed: finite"),
    "infinity": (with_number(-float("inf")), r"example 2: k holds NaN or infinity; allowed: finite"),
    "a string": (dump(q=[*tensors()[:2], "x"]), r"holds a str at \['q'\]\[2\]; allowed: tensors, numbers"),
    "nothing": (dump(q=[*tensors()[:2], None][::-1]), r"holds a NoneType at \['q'\]\[0\]; allowed"),
    "a set": ([{1, 2}], r"holds a set at \[0\]; allowed"),
    "a number as key": ({0: 1}, r"a key of type int in its dict; allowed: strings"),
    "an array": (
        dump(length_src=np.array(LENGTHS)),
        r"holds numpy.*; allowed: tensors, numbers.*Nothing in it was run",
    ),
}


@pytest.mark.parametrize(("content", "message"), BAD.values(), ids=BAD.keys())
def test_bad_dump_is_refused(tmp_path, content, message):
    path = save(tmp_path / "bad_enc-attn.pt", content)
    with pytest.raises(InputError, match=rf"bad_enc-attn.pt: .*{message}"):
        list(Dump(path).parts())


class Attack:
    """Creates a file when it is unpickled."""

    def __init__(self, target):
        self.target = str(target)

    def __reduce__(self):
        return os.mkdir, (self.target,)


class Innocent:
    """A class of the user's."""


def pickled(path, content):
    path.write_bytes(pickle.dumps(content, protocol=2))


def saved_before_zip(path, content):
    torch.save(content, path, _use_new_zipfile_serialization=False)


@pytest.mark.parametrize("write", [save, saved_before_zip, pickled], ids=["torch", "torch before 1.6", "pickle"])
def test_nothing_in_a_pickle_is_run(tmp_path, write):
    target = tmp_path / "created"
    write(tmp_path / "bad.pt", {"q": [Attack(target), 1, 2]})
    with pytest.raises(InputError, match=r"bad.pt: holds (posix|nt).mkdir; allowed: tensors.*Nothing in it was run"):
        read_torch(tmp_path / "bad.pt")
    assert not target.exists()
    torch.load(save(tmp_path / "bad.pt", Attack(target)), weights_only=False)  # the attack is a real one
    assert target.exists()


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_nothing_in_a_newer_pickle_is_run(tmp_path):
    (tmp_path / "bad.pt").write_bytes(pickle.dumps([Attack(tmp_path / "created")], protocol=5))
    with pytest.raises(InputError, match=r"bad.pt: not a file of torch.save"):
        read_torch(tmp_path / "bad.pt")
    assert not (tmp_path / "created").exists()


def test_objects_are_refused_by_their_type(tmp_path):
    with pytest.raises(InputError, match=r"bad.pt: holds .*Innocent; allowed: tensors"):
        read_torch(save(tmp_path / "bad.pt", [Innocent()]))


def test_a_container_may_hold_itself(tmp_path):
    loop = [1]
    loop.append(loop)
    assert read_torch(save(tmp_path / "loop.pt", loop))[0] == 1


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "before torch 1.6"])
@pytest.mark.parametrize(
    "damage",
    [
        cut,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"PK\x03\x04 not really"),
        lambda path: path.write_text("a text\n"),
        lambda path: path.write_bytes(pickle.dumps([1, 2, 3], protocol=2)),
    ],
    ids=["truncated", "empty", "zip magic", "text", "plain pickle"],
)
def test_what_is_not_a_torch_file_is_refused(tmp_path, damage, zipped):
    path = tmp_path / "bad.pt"
    torch.save(dump(), path, _use_new_zipfile_serialization=zipped)
    damage(path)
    with pytest.raises(InputError, match=r"bad.pt: .*(not a file of torch.save|truncated)"):
        read_torch(path)


@pytest.mark.parametrize(("name", "message"), [("missing.pt", "there is no such file"), (".", "is a folder")])
def test_missing_file_is_named(tmp_path, name, message):
    with pytest.raises(InputError, match=message):
        read_torch(tmp_path / name)


@pytest.mark.parametrize("queries", [LENGTHS, (2, 7, 3)], ids=["self-attention", "cross-attention"])
def test_a_store_becomes_a_dump(tmp_path, queries):
    info = QKInfo(LAYERS, HEADS, DIM, queries, LENGTHS, ("a", "b", "c"))
    vectors = {"q": tensors(queries), "k": tensors(seed=1)}
    with QKWriter(tmp_path / "store", info) as writer:
        for index in range(3):
            for layer in range(LAYERS):
                writer.write(layer, index, vectors["q"][index][layer], vectors["k"][index][layer])
    for name in ("first_enc-attn.pt", "second_enc-attn.pt"):
        write_dump(QKReader(tmp_path / "store"), tmp_path / "new" / name)
    first, second = sorted((tmp_path / "new").iterdir())  # and no scratch file is left
    assert first.read_bytes() == second.read_bytes()
    content = torch.load(first, weights_only=True)
    assert content["length_src"].tolist() == list(LENGTHS)
    assert content["length_src"].dtype == torch.float32
    assert ("length_trg" in content) == (queries != LENGTHS)
    for name, expected in vectors.items():
        assert all(torch.equal(*pair) for pair in zip(content[name], expected, strict=True))
    read = Dump(first)
    assert (read.query_lengths, read.key_lengths) == (queries, LENGTHS)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the memory in use from /proc")
def test_memory_does_not_grow_with_examples(tmp_path):
    code = """
        import re, sys, torch
        from pathlib import Path
        from sparse_attention.originals.dumps import Dump
        torch.set_num_threads(1)
        used = lambda: int(re.search(r"RssAnon:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
        before, peak = used(), 0
        for part in Dump(sys.argv[1]).parts():
            peak = max(peak, used() - before)
        print(peak)
    """
    path = tmp_path / "big.pt"
    torch.save({"length_src": [256] * 64, **{name: list(torch.ones(64, 8, 4, 256, 32)) for name in "qk"}}, path)
    scripts = Path(sparse_attention.__file__).parent.parent
    call = [sys.executable, "-c", textwrap.dedent(code), str(path)]
    result = subprocess.run(call, env={"PYTHONPATH": str(scripts)}, capture_output=True, text=True, check=True)
    assert path.stat().st_size > 130e6
    assert int(result.stdout) * 1024 < path.stat().st_size / 8
