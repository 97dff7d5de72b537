"""Read centroids from the originals' pickles of scikit-learn's KMeans objects without running what a pickle may hold.

The originals write a pickle for each layer: a list over heads of `MultiKmeans`, an object whose `kmeans` is a list over
runs of scikit-learn's `KMeans`. A list over layers of such lists is read as well, and a `KMeans` in the place of a
`MultiKmeans` is one run.

A pickle is a program that names classes and functions to call. Here the names of scikit-learn, of the originals and of
numpy lead to classes of this module that only hold what they are given, any other name is an error, and no module is
imported. Numbers are then made from the bytes that an array's stand-in holds.
"""

from __future__ import annotations

import math
import os
import pickle
import pickletools
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor

from sparse_attention.errors import InputError
from sparse_attention.files.tensors import StrPath

CLASSES = ("KMeans", "MiniBatchKMeans", "MultiKmeans")  # whatever module they came from: nothing of it is needed
NUMPY = ("numpy.core", "numpy._core")  # the name changed with numpy 2
FLOATS = {"f2", "f4", "f8"}
ALLOWED = "allowed: lists of scikit-learn's KMeans, or of the originals' MultiKmeans, as they pickled them"
STARTS = (b"\x80", b"]", b"(", b"c")  # of pickles, those of protocols 0 and 1 that could be lists or objects included
OLD_TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19"  # files of torch.save before 1.6 are pickles too


def is_pickle(path: StrPath) -> bool:
    """Tell by its first bytes whether a file may be a pickle, but not one of torch."""
    with open(path, "rb") as stream:
        start = stream.read(len(OLD_TORCH))
    return start.startswith(STARTS) and start != OLD_TORCH


def read_centroids(path: StrPath) -> list[Tensor]:
    """Read the centroids of a pickle's layers, one when it is a list over heads.

    Returns
    -------
    For each layer float64 `(heads, runs, clusters, dim)`.

    Raises
    ------
    InputError
        When the pickle is damaged or holds anything else: the class or function is named, and nothing of it is run.
    """
    content = _load(path)
    if not isinstance(content, list) or not content:
        raise InputError(f"{path}: holds a {_kind(content)}; {ALLOWED}")
    layers = content if isinstance(content[0], list) else [content]
    return [_layer(heads, f"{path}: layer {layer}") for layer, heads in enumerate(layers)]


def _load(path: StrPath) -> Any:
    try:
        with Path(path).open("rb") as stream:
            _check_memo(stream)
            stream.seek(0)
            return _Unpickler(stream, path).load()
    except InputError:
        raise
    except Exception as error:  # the unpickler raises whatever a damaged or hostile file leads it to
        raise InputError(f"{path}: truncated, damaged or no pickle of KMeans objects ({error}); {ALLOWED}") from None


def _check_memo(stream: BinaryIO) -> None:
    """Raise `ValueError` when objects are numbered beyond the bytes of the file: room is made for all numbers."""
    size = os.fstat(stream.fileno()).st_size
    for code, argument, _ in pickletools.genops(stream):
        if code.name in ("PUT", "BINPUT", "LONG_BINPUT") and int(argument or 0) > size:
            raise ValueError(f"object number {argument} in {size} bytes")


class _Unpickler(pickle.Unpickler):
    """Builds stand-ins. Each has classes of its own, so that nothing that a pickle does to them stays."""

    def __init__(self, stream: Any, path: StrPath) -> None:
        super().__init__(stream)
        self.path, self._known = path, _stand_ins()

    def find_class(self, module: str, name: str) -> Any:
        """Give the stand-in of a name; raise `InputError` for any that is not known."""
        found = self._known.get((module, name))
        if found is None and name in CLASSES:
            found = self._known[module, name] = type(name, (_Object,), {})
        if found is None:
            raise InputError(f"{self.path}: holds {module}.{name}; {ALLOWED}. Nothing in it was run")
        return found

    def persistent_load(self, pid: Any) -> Any:
        """Refuse references to what is not in the file."""
        raise InputError(f"{self.path}: refers to something outside of it; {ALLOWED}")


class _Object:
    """Stands for a KMeans or a MultiKmeans: what was pickled of it becomes its attributes."""


class _Held:
    """Holds the arguments it was made of, and the state that was set afterwards."""

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments
        self.state: Any = ()

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Dtype(_Held):
    """Stands for a numpy dtype: its name, then a state that has the byte order at the second place."""


class _Array(_Held):
    """Stands for an array whose shape, dtype, order and bytes come as its state."""


class _Buffer(_Held):
    """Stands for an array made of its bytes, dtype, shape and order."""


class _Scalar(_Held):
    """Stands for a single number, such as the inertia, which is not needed."""


def _stand_ins() -> dict[tuple[str, str], Any]:
    array, buffer, scalar, dtype = (type(kind.__name__, (kind,), {}) for kind in (_Array, _Buffer, _Scalar, _Dtype))

    def bytes_of(text: Any, encoding: Any) -> bytes:
        """Do what protocols before 3 do to bytes: they are written as text."""
        if not isinstance(text, str) or encoding != "latin1":
            raise ValueError("bytes that are not written as latin1")
        return text.encode("latin1")

    def instance(kind: Any, base: Any, state: Any) -> Any:
        """Do what protocols before 2 do to make an object."""
        if not (isinstance(kind, type) and issubclass(kind, _Object) and base is nothing and state is None):
            raise ValueError("an object of an unknown class")
        return kind()

    nothing = type("object", (), {})
    known: dict[tuple[str, str], Any] = {
        ("numpy", "ndarray"): array,
        ("numpy", "dtype"): dtype,
        ("_codecs", "encode"): bytes_of,
        ("copy_reg", "_reconstructor"): instance,
        ("copyreg", "_reconstructor"): instance,
        ("__builtin__", "object"): nothing,
        ("builtins", "object"): nothing,
    }
    for numpy in NUMPY:
        known[f"{numpy}.multiarray", "_reconstruct"] = array
        known[f"{numpy}.multiarray", "scalar"] = scalar
        known[f"{numpy}.numeric", "_frombuffer"] = buffer
    return known


def _layer(heads: Any, where: str) -> Tensor:
    """Stack one layer's centroids."""
    if not isinstance(heads, list) or not heads:
        raise InputError(f"{where}: holds a {_kind(heads)}; {ALLOWED}")
    stacked = [[_centers(run, f"{where}, head {head}") for run in _runs(each)] for head, each in enumerate(heads)]
    runs, shapes = {len(head) for head in stacked}, {centers.shape for head in stacked for centers in head}
    if len(runs) > 1 or len(shapes) > 1:
        text = f"heads have {sorted(runs)} runs, their centroids (clusters, dim) {sorted(shapes)}"
        raise InputError(f"{where}: {text}; they must be alike")
    return torch.from_numpy(np.array(stacked))


def _runs(value: Any) -> list[Any]:
    runs = getattr(value, "__dict__", {}).get("kmeans") if isinstance(value, _Object) else None
    return runs if isinstance(runs, list) and runs else [value]


def _centers(value: Any, where: str) -> np.ndarray:
    """Make the centroids of one fitted KMeans, float64 `(clusters, dim)`."""
    if not isinstance(value, _Object):
        raise InputError(f"{where}: holds a {_kind(value)}; {ALLOWED}")
    centers = vars(value).get("cluster_centers_")
    if centers is None:
        raise InputError(f"{where}: a {_kind(value)} without centroids; allowed: fitted ones")
    try:
        return _numbers(centers)
    except (ValueError, TypeError, IndexError, OverflowError) as error:
        raise InputError(f"{where}: centroids: {error}; allowed: floating-point numbers (clusters, dim)") from None


def _numbers(array: Any) -> np.ndarray:
    """Make the float64 array of a stand-in."""
    if isinstance(array, _Buffer):
        raw, dtype, shape, order = array.arguments
        fortran = order == "F"
    elif isinstance(array, _Array):
        _, shape, dtype, fortran, raw = array.state
    else:
        raise TypeError(f"a {_kind(array)}")
    if not isinstance(dtype, _Dtype):
        raise TypeError(f"dtype {_kind(dtype)}")
    code, endian = dtype.arguments[0], dtype.state[1]
    if code not in FLOATS or endian not in ("<", ">", "=", "|"):
        raise ValueError(f"dtype {code}")
    if len(shape) != 2 or math.prod(shape) < 1:
        raise ValueError(f"shape {shape}")
    flat = np.frombuffer(raw, np.dtype(endian + code))
    return flat.reshape(shape, order="F" if fortran else "C").astype(np.float64)


def _kind(value: Any) -> str:
    return type(value).__name__.lstrip("_")
