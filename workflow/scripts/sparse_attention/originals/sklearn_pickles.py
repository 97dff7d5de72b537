"""Read centroids from pickles of scikit-learn's KMeans objects without running code in the pickle.

The original code writes one pickle per layer: a list over heads of `MultiKmeans`, an object whose `kmeans` is a list
over runs of scikit-learn's `KMeans`. A list over layers of such lists is read as well. A `KMeans` in place of a
`MultiKmeans` counts as one run.

A pickle is a program that names classes and functions to call. Here, the names of scikit-learn, the original code and
numpy are replaced by stand-in classes of this module, which only store their arguments. Any other name is an error, and
no module is imported. Arrays are then built from the bytes that their stand-ins store.
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

CLASSES = ("KMeans", "MiniBatchKMeans", "MultiKmeans")  # from any module, as the module is never imported
NUMPY = ("numpy.core", "numpy._core")  # before and since numpy 2
FLOATS = {"f2", "f4", "f8"}
ALLOWED = "allowed: a pickled list of scikit-learn's KMeans, or of the original code's MultiKmeans"
STARTS = (
    b"\x80",
    b"]",
    b"(",
    b"c",
)  # first bytes of pickles: protocol 2 and later; lists or objects of protocols 0 and 1
OLD_TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19"  # files of torch.save before 1.6 are pickles too


def is_pickle(path: StrPath) -> bool:
    """Return whether a file's first bytes are those of a pickle other than an old torch file."""
    with open(path, "rb") as stream:
        start = stream.read(len(OLD_TORCH))
    return start.startswith(STARTS) and start != OLD_TORCH


def read_centroids(path: StrPath) -> list[Tensor]:
    """Read the centroids of one layer (a list over heads) or of several layers.

    Returns
    -------
    list of Tensor
        For each layer float64 ``(heads, runs, clusters, dim)``.

    Raises
    ------
    InputError
        When the pickle is damaged, or names any other class or function, which is then not run.
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
    except Exception as error:  # a damaged or hostile file can make the unpickler raise any exception
        raise InputError(f"{path}: cannot be read as a pickle ({error}); {ALLOWED}") from None


def _check_memo(stream: BinaryIO) -> None:
    """Raise `ValueError` when an object number exceeds the file size: the unpickler would allocate memory for it."""
    size = os.fstat(stream.fileno()).st_size
    for code, argument, _ in pickletools.genops(stream):
        if code.name in ("PUT", "BINPUT", "LONG_BINPUT") and int(argument or 0) > size:
            raise ValueError(f"object number {argument} in a file of {size} bytes")


class _Unpickler(pickle.Unpickler):
    """Builds stand-ins; each unpickler has its own classes, so that a pickle cannot change those of another."""

    def __init__(self, stream: Any, path: StrPath) -> None:
        super().__init__(stream)
        self.path, self._known = path, _stand_ins()

    def find_class(self, module: str, name: str) -> Any:
        """Return the stand-in for a name; raise `InputError` for an unknown name."""
        found = self._known.get((module, name))
        if found is None and name in CLASSES:
            found = self._known[module, name] = type(name, (_Object,), {})
        if found is None:
            raise InputError(f"{self.path}: holds {module}.{name}; {ALLOWED}. Nothing in it was run")
        return found

    def persistent_load(self, pid: Any) -> Any:
        """Raise `InputError`: references to objects outside the file are not allowed."""
        raise InputError(f"{self.path}: refers to an object outside the file; {ALLOWED}")


class _Object:
    """Stand-in for a KMeans or a MultiKmeans; the pickled attributes become its attributes."""


class _StandIn:
    """Stand-in that stores its arguments and its state."""

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments
        self.state: Any = ()

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Dtype(_StandIn):
    """Stand-in for a numpy dtype: its first argument is the name, the second entry of its state the byte order."""


class _Array(_StandIn):
    """Stand-in for an array whose shape, dtype, order and bytes are its state."""


class _Buffer(_StandIn):
    """Stand-in for an array whose bytes, dtype, shape and order are its arguments."""


class _Scalar(_StandIn):
    """Stand-in for a single number, such as the inertia; it is not read."""


def _stand_ins() -> dict[tuple[str, str], Any]:
    """Return the allowed names, as (module, name), with their stand-ins."""
    array, buffer, scalar, dtype = (type(kind.__name__, (kind,), {}) for kind in (_Array, _Buffer, _Scalar, _Dtype))

    def bytes_of(text: Any, encoding: Any) -> bytes:
        """Rebuild bytes, which protocols before 3 write as text."""
        if not isinstance(text, str) or encoding != "latin1":
            raise ValueError("bytes that are not written as latin1")
        return text.encode("latin1")

    def instance(kind: Any, base: Any, state: Any) -> Any:
        """Build an object as protocols before 2 do."""
        if not (isinstance(kind, type) and issubclass(kind, _Object) and base is plain_object and state is None):
            raise ValueError("an object of an unknown class")
        return kind()

    plain_object = type("object", (), {})
    known: dict[tuple[str, str], Any] = {
        ("numpy", "ndarray"): array,
        ("numpy", "dtype"): dtype,
        ("_codecs", "encode"): bytes_of,
        ("copy_reg", "_reconstructor"): instance,
        ("copyreg", "_reconstructor"): instance,
        ("__builtin__", "object"): plain_object,
        ("builtins", "object"): plain_object,
    }
    for numpy in NUMPY:
        known[f"{numpy}.multiarray", "_reconstruct"] = array
        known[f"{numpy}.multiarray", "scalar"] = scalar
        known[f"{numpy}.numeric", "_frombuffer"] = buffer
    return known


def _layer(heads: Any, where: str) -> Tensor:
    """Return the centroids of one layer, float64 ``(heads, runs, clusters, dim)``."""
    if not isinstance(heads, list) or not heads:
        raise InputError(f"{where}: holds a {_kind(heads)}; {ALLOWED}")
    stacked = [[_centers(run, f"{where}, head {head}") for run in _runs(each)] for head, each in enumerate(heads)]
    runs, shapes = {len(head) for head in stacked}, {centers.shape for head in stacked for centers in head}
    if len(runs) > 1 or len(shapes) > 1:
        text = f"heads have {sorted(runs)} runs and centroids (clusters, dim) of {sorted(shapes)}"
        raise InputError(f"{where}: {text}; allowed: the same in all heads")
    return torch.from_numpy(np.array(stacked))


def _runs(value: Any) -> list[Any]:
    """Return the KMeans objects of a MultiKmeans, or the value itself as a single run."""
    runs = getattr(value, "__dict__", {}).get("kmeans") if isinstance(value, _Object) else None
    return runs if isinstance(runs, list) and runs else [value]


def _centers(value: Any, where: str) -> np.ndarray:
    """Return the centroids of one fitted KMeans, float64 ``(clusters, dim)``."""
    if not isinstance(value, _Object):
        raise InputError(f"{where}: holds a {_kind(value)}; {ALLOWED}")
    centers = vars(value).get("cluster_centers_")
    if centers is None:
        raise InputError(f"{where}: a {_kind(value)} without centroids; allowed: a fitted one")
    try:
        return _numbers(centers)
    except (ValueError, TypeError, IndexError, OverflowError) as error:
        raise InputError(f"{where}: centroids: {error}; allowed: floating-point numbers (clusters, dim)") from None


def _numbers(array: Any) -> np.ndarray:
    """Build the float64 array ``(clusters, dim)`` that a stand-in describes."""
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
    """Return the name of a value's type, for messages."""
    return type(value).__name__.lstrip("_")
