"""Pickled KMeans objects are read without running anything that a pickle may hold."""

from __future__ import annotations

import os
import pickle
import sys
from types import ModuleType

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans, MiniBatchKMeans

from sparse_attention.clusters.centroids import Centroids
from sparse_attention.errors import InputError
from sparse_attention.originals.sklearn_pickles import is_pickle, read_centroids

HEADS, RUNS, CLUSTERS, DIM = 3, 2, 4, 3
PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


@pytest.fixture
def multi(monkeypatch):
    """Return a class that is pickled as the originals' MultiKmeans, a module that only they have."""
    module = ModuleType("multi_kmeans")

    class MultiKmeans:
        def __init__(self, kmeans):
            self.rounds, self.kmeans = len(kmeans), kmeans

    MultiKmeans.__module__, MultiKmeans.__qualname__ = "multi_kmeans", "MultiKmeans"
    module.MultiKmeans = MultiKmeans
    monkeypatch.setitem(sys.modules, "multi_kmeans", module)
    return MultiKmeans


def fitted(seed=0, clusters=CLUSTERS, dim=DIM, dtype=np.float64, kind=KMeans):
    points = np.random.default_rng(seed).normal(size=(40, dim)).astype(dtype)
    return kind(clusters, n_init=1, random_state=seed).fit(points)


def write(path, content, protocol=pickle.HIGHEST_PROTOCOL):
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    return path


def centers(runs):
    return np.stack([run.cluster_centers_ for run in runs])


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_layer_is_read_as_scikit_learn_pickled_it(tmp_path, multi, protocol, dtype, monkeypatch):
    runs = [[fitted(10 * head + run, dtype=dtype) for run in range(RUNS)] for head in range(HEADS)]
    path = write(tmp_path / "d_3r_4s_2n_0l_shared.pickle", [multi(each) for each in runs], protocol)
    monkeypatch.delitem(sys.modules, "multi_kmeans")  # the reader has no such module
    (layer,) = read_centroids(path)
    assert layer.shape == (HEADS, RUNS, CLUSTERS, DIM) and layer.dtype == torch.float64
    np.testing.assert_array_equal(layer, np.stack([centers(each) for each in runs]))


@pytest.mark.parametrize("kind", [KMeans, MiniBatchKMeans], ids=lambda kind: kind.__name__)
def test_a_list_over_layers_of_single_runs(tmp_path, kind):
    layers = [[fitted(seed, kind=kind) for seed in (layer, layer + 5)] for layer in range(3)]
    path = write(tmp_path / "all.pickle", layers)
    found = Centroids.load(path)
    assert [tuple(layer.shape) for layer in found.layers] == [(2, 1, CLUSTERS, DIM)] * 3
    for layer, heads in zip(found.layers, layers, strict=True):
        np.testing.assert_array_equal(layer[:, 0], centers(heads))


@pytest.mark.parametrize("protocol", [2, 5])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["<f8", ">f8", "<f4", ">f4", "<f2"])
def test_any_layout_of_the_numbers(tmp_path, protocol, order, dtype):
    model = fitted()
    model.cluster_centers_ = np.asarray(model.cluster_centers_.round(1), dtype=dtype, order=order)
    (layer,) = read_centroids(write(tmp_path / "k.pickle", [model], protocol))
    np.testing.assert_array_equal(layer[0, 0], model.cluster_centers_.astype(np.float64))


def test_layers_in_files_of_their_own(tmp_path, multi):
    paths = [write(tmp_path / f"{layer}", [multi([fitted(layer)])] * HEADS) for layer in range(2)]
    found = Centroids.load_files(paths)
    for seed, layer in enumerate(found.layers):
        np.testing.assert_array_equal(layer[1, 0], fitted(seed).cluster_centers_)


class Calls:
    """Pickles as a call of anything."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def hidden(function, *arguments):
    """Put a call where a KMeans keeps one of its numbers."""
    model = fitted()
    model.inertia_ = Calls(function, *arguments)
    return [model]


ATTACKS = {
    "os.system": lambda: [Calls(os.system, "touch ran")],
    "hidden in an attribute": lambda: hidden(os.system, "touch ran"),
    "eval": lambda: hidden(eval, "open('ran', 'w')"),
    "exec": lambda: [Calls(exec, "open('ran', 'w')")],
    "open": lambda: [Calls(open, "ran", "w")],
    "import": lambda: [Calls(__import__, "this")],
    "numpy load": lambda: hidden(np.load, "ran"),
    "a call of numpy that writes": lambda: hidden(np.savetxt, "ran", np.zeros(2)),
    "a list that calls": lambda: Calls(os.mkdir, "ran"),
}


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
@pytest.mark.parametrize("name", ATTACKS)
def test_nothing_in_a_pickle_is_run(tmp_path, monkeypatch, name, protocol):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "evil.pickle", ATTACKS[name](), protocol)
    with pytest.raises(InputError, match=r"evil\.pickle: holds \S+\.\S+; allowed.* Nothing in it was run"):
        read_centroids(tmp_path / "evil.pickle")
    assert [path.name for path in tmp_path.iterdir()] == ["evil.pickle"]


NAMES = ["cposix\nsystem\n", "cbuiltins\neval\n", "cbuiltins\ngetattr\n", "csubprocess\nPopen\n", "cnumpy\nload\n",
         "csklearn.utils\nos.system\n", "csklearn.cluster._kmeans\nKMeans.__class__\n", "cnumpy\ndtype.__class__\n",
         "cnumpy.core.multiarray\n_reconstruct.__globals__\n", "cbuiltins\nobject.__subclasses__\n",
         "cmulti_kmeans\nMultiKmeans.__init__\n", "ccollections\nOrderedDict\n", "c_codecs\ndecode\n",
         "cnumpy.random._pickle\n__randomstate_ctor\n", "ccopyreg\n__newobj__\n"]  # fmt: skip


@pytest.mark.parametrize("name", NAMES, ids=lambda name: name[1:-1].replace("\n", "."))
def test_names_that_are_not_those_of_centroids_are_told(tmp_path, name):
    (tmp_path / "evil.pickle").write_bytes(b"\x80\x02]" + name.encode() + b"a.")
    full = name[1:-1].replace("\n", ".")
    with pytest.raises(InputError) as caught:
        read_centroids(tmp_path / "evil.pickle")
    assert f"holds {full};" in str(caught.value)


def test_no_module_is_imported(tmp_path):
    content = b"\x80\x02]canything.at.all\nKMeans\n)\x81}X\x10\x00\x00\x00cluster_centers_K\x01sba."
    (tmp_path / "k.pickle").write_bytes(content)
    with pytest.raises(InputError, match="allowed: floating-point numbers"):
        read_centroids(tmp_path / "k.pickle")
    assert "anything" not in sys.modules


def test_what_a_pickle_does_to_the_classes_it_gets_does_not_stay(tmp_path):
    # the second half of a state, for slots, is set attribute by attribute: here on the class that stands for KMeans
    name = b"csklearn.cluster._kmeans\nKMeans\n"
    slots = b"N}X\x10\x00\x00\x00cluster_centers_K\x01s\x86b"
    for content in (name + slots + b"0].", b"]" + name + slots + b")\x81a."):
        (tmp_path / "k.pickle").write_bytes(b"\x80\x02" + content)
        with pytest.raises(InputError):
            read_centroids(tmp_path / "k.pickle")
    with pytest.raises(InputError, match="without centroids"):
        read_centroids(write(tmp_path / "new.pickle", [KMeans(4)]))


def changed(**attributes):
    model = fitted()
    vars(model).update(attributes)
    return [model]


def wrong_array():
    model = fitted()
    model.cluster_centers_ = np.array([["a", "b"]], dtype=object)
    return [model]


BAD = {
    "not fitted": (lambda: [KMeans(4)], "head 0: a KMeans without centroids; allowed: a fitted one"),
    "a number": (lambda: 3, "holds a int"),
    "an empty list": (list, "holds a list"),
    "a head that is a number": (lambda: [fitted(), 3], "head 1: holds a int"),
    "an empty layer": (lambda: [[fitted()], []], "layer 1: holds a list"),
    "a layer that is none": (lambda: [[fitted()], fitted()], "layer 1: holds a KMeans"),
    "text": (lambda: "hello", "holds a str"),
    "centroids that are a list": (lambda: changed(cluster_centers_=[[1.0]]), "allowed: floating-point numbers"),
    "centroids that are whole numbers": (lambda: changed(cluster_centers_=np.ones((2, 2), int)), "dtype i8"),
    "centroids that are objects": (wrong_array, "dtype O8"),
    "flat centroids": (lambda: changed(cluster_centers_=np.ones(3)), r"shape \(3,\)"),
    "heads that differ": (
        lambda: [fitted(), fitted(clusters=5)],
        r"\[\(4, 3\), \(5, 3\)\]; allowed: the same in all heads",
    ),
}


@pytest.mark.parametrize("protocol", [2, 5])
@pytest.mark.parametrize("name", BAD)
def test_what_holds_no_centroids_is_refused(tmp_path, name, protocol):
    make, message = BAD[name]
    with pytest.raises(InputError, match=message) as caught:
        read_centroids(write(tmp_path / "bad.pickle", make(), protocol))
    assert "bad.pickle" in str(caught.value)


def test_no_clusters_at_all_are_refused(tmp_path):
    path = write(tmp_path / "none.pickle", changed(cluster_centers_=np.ones((0, 3))))
    with pytest.raises(InputError, match=r"none\.pickle: layer 0, head 0: .* shape \(0, 3\)"):
        read_centroids(path)


def test_a_number_that_would_take_all_memory_is_refused(tmp_path):
    (tmp_path / "k.pickle").write_bytes(b"\x80\x02]r\xff\xff\xff\xef.")
    with pytest.raises(InputError, match=r"k\.pickle: .*object number 4026531839"):
        read_centroids(tmp_path / "k.pickle")


def test_heads_with_different_runs_are_refused(tmp_path, multi):
    path = write(tmp_path / "runs.pickle", [multi([fitted()]), multi([fitted(), fitted(1)])])
    with pytest.raises(InputError, match=r"heads have \[1, 2\] runs"):
        read_centroids(path)


def test_layers_that_differ_are_refused(tmp_path):
    path = write(tmp_path / "layers.pickle", [[fitted()], [fitted(dim=2)]])
    with pytest.raises(InputError, match=r"layers\.pickle: layer 1: shape .*allowed: one shape"):
        Centroids.load(path)


def test_centroids_that_are_not_finite_are_refused(tmp_path):
    path = write(tmp_path / "nan.pickle", changed(cluster_centers_=np.full((2, 2), np.nan)))
    with pytest.raises(InputError, match="holds NaN"):
        Centroids.load(path)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("kept", [0.0, 0.1, 0.5, 0.99], ids=lambda kept: f"{kept:g} of it")
def test_what_is_cut_off_is_refused(tmp_path, protocol, kept):
    whole = pickle.dumps([fitted()], protocol=protocol)
    (tmp_path / "cut.pickle").write_bytes(whole[: int(kept * len(whole))])
    with pytest.raises(InputError, match="cut.pickle"):
        Centroids.load(tmp_path / "cut.pickle")


def test_bytes_that_were_changed_give_an_error_or_an_array(tmp_path):
    whole, rng = pickle.dumps([fitted()], protocol=4), np.random.default_rng(0)
    for _ in range(300):
        content = bytearray(whole)
        for place in rng.integers(len(content), size=3):
            content[place] = rng.integers(256)
        (tmp_path / "k.pickle").write_bytes(content)
        try:
            layers = read_centroids(tmp_path / "k.pickle")
        except InputError as error:
            assert "k.pickle" in str(error)
        else:
            assert all(layer.dim() == 4 for layer in layers)


def test_references_out_of_the_file_are_refused(tmp_path):
    (tmp_path / "k.pickle").write_bytes(b"\x80\x02]X\x01\x00\x00\x00aQa.")
    with pytest.raises(InputError, match="outside the file"):
        read_centroids(tmp_path / "k.pickle")


def test_files_of_torch_are_no_pickles(tmp_path):
    values = [torch.zeros(1, 1, 2, 2)]
    torch.save(values, tmp_path / "new.pt")
    torch.save(values, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    write(tmp_path / "k.pickle", [fitted()])
    assert [is_pickle(tmp_path / name) for name in ("new.pt", "old.pt", "k.pickle")] == [False, False, True]
    assert torch.equal(Centroids.load(tmp_path / "old.pt").layer(0), values[0].double())
