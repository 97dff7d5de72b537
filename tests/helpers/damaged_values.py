"""Change values in files of a valid format: other types, shapes and names, missing and additional values."""

from __future__ import annotations

import csv
import io
import json
import pickle
import random
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

JUNK: tuple[Any, ...] = (
    None, True, "", "x", "nan", "7", "a\nb", "\x1b[31m", "\ud800", "../../up", "/", "x" * 5000, 0, -1, 1, 0.5, 1e30,
    10**12, 2**63, 10**30, float("nan"), float("inf"), [], [[]], [1, "x"], {}, {"a": {"b": [None]}}, {"": 1},
)  # fmt: skip
NAMES = ("x", "", "label", "__class__", "shape", "../x", "a\nb", "self")
HUGE = 10**11
CANARY = "created-by-a-file"
"""The folder that a hostile file creates in the current directory if code in it is run."""


class NotPossible(Exception):
    """Raised when a kind of damage cannot be applied to a file."""


def change(value: Any, rng: random.Random) -> tuple[Any, str]:
    """Change a random part of a value, in place in containers; return the value and a description of the change."""
    places = list(_places(value))
    if not places or rng.random() < 0.05:
        return rng.choice(JUNK), "whole value replaced"
    # choose the depth first, because there are far more leaves than places near the top
    depth = rng.choice(sorted({len(trail) for trail, _, _ in places}))
    trail, parent, key = rng.choice([place for place in places if len(place[0]) == depth])
    old = parent[key]
    if rng.random() < 0.5 and isinstance(old, torch.Tensor | np.ndarray | bytes | str):
        parent[key], how = _changed_tensor_or_text(old, rng), "changed"
    else:
        how = rng.choice(("replaced", "dropped", "added", "doubled", "renamed"))
        _edit(parent, key, how, rng)
    return value, f"{'.'.join(map(str, trail))[:60]} {how}"


def _places(value: Any, trail: tuple[Any, ...] = ()) -> Any:
    """Yield every place in nested containers: the keys that lead to it, its container, and its key in the container."""
    inside = _inside(value)
    for key in list(inside) if isinstance(inside, dict) else range(len(inside)):
        yield (*trail, key), inside, key
        if len(trail) < 8:
            yield from _places(inside[key], (*trail, key))


def _inside(value: Any) -> Any:
    if isinstance(value, dict | list):
        return value
    return vars(value) if type(value).__module__.startswith(("sklearn", "multi_kmeans")) else ()


def _edit(parent: Any, key: Any, how: str, rng: random.Random) -> None:
    if how == "replaced":
        parent[key] = rng.choice(JUNK)
    elif how == "dropped":
        del parent[key]
    elif isinstance(parent, dict):
        name = rng.choice(NAMES)
        parent[name] = parent.pop(key) if how == "renamed" else rng.choice((*JUNK, parent[key]))
    else:
        parent.insert(key, parent[key] if how == "doubled" else rng.choice(JUNK))


def _changed_tensor_or_text(old: Any, rng: random.Random) -> Any:
    if isinstance(old, bytes | str):
        raw = bytearray(old if isinstance(old, bytes) else old.encode("utf-8", "replace"))
        raw[rng.randrange(len(raw) + 1) :] = rng.choice((b"", b"\0", b"\xff\xfe", b"\n\n", b"{", b"</x>"))
        return bytes(raw) if isinstance(old, bytes) else raw.decode("utf-8", "replace")
    if isinstance(old, np.ndarray):
        return rng.choice(ARRAYS)(old)
    return rng.choice(TENSORS)(old)


def _one(tensor: torch.Tensor, value: float) -> torch.Tensor:
    changed = tensor.clone()
    if changed.numel():
        changed.view(-1)[-1] = value if changed.is_floating_point() else -1
    return changed


TENSORS: tuple[Callable[[torch.Tensor], Any], ...] = (
    lambda t: t.reshape(-1), lambda t: t[None], lambda t: t[..., :0], lambda t: torch.zeros(()), lambda t: t[:1],
    lambda t: t.double(), lambda t: t.half(), lambda t: t.bfloat16(), lambda t: t.long(), lambda t: t.bool(),
    lambda t: t.to(torch.float8_e4m3fn), lambda t: t.to(torch.complex64), lambda t: t.to(torch.uint16),
    lambda t: _one(t, float("nan")), lambda t: _one(t, float("inf")), lambda t: _one(t, 3e38),
    lambda t: t.to("meta"), lambda t: torch.zeros(1).expand(HUGE), lambda t: torch.zeros([1] * t.dim()).expand(
        [HUGE if place == t.dim() - 1 else length for place, length in enumerate(t.shape)]
    ), lambda t: t.float().to_sparse(), lambda t: torch.nn.Parameter(t.float()), lambda t: t.tolist(),
    lambda t: torch.quantize_per_tensor(t.float(), 0.1, 0, torch.qint8), lambda t: t.transpose(0, -1),
    lambda t: torch.cat([t, t]), lambda t: torch.zeros(1, dtype=t.dtype).expand(t.shape),
)  # fmt: skip
ARRAYS: tuple[Callable[[np.ndarray], Any], ...] = (
    lambda a: a.reshape(-1), lambda a: a[None], lambda a: a[:0], lambda a: a[0], lambda a: a.astype(">f4"),
    lambda a: a.astype(int), lambda a: a.astype("O"), lambda a: a.astype("S4"), lambda a: a * np.nan, lambda a: a.T,
    lambda a: a.astype(complex), lambda a: a.astype([("x", "f8")]), lambda a: np.array(1.0), lambda a: a.tolist(),
    lambda a: np.ma.masked_array(a), lambda a: a.astype("M8[s]"),
)  # fmt: skip


def _rows(file: Path, separator: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(file.read_text(encoding="utf-8")), delimiter=separator))


def _write_rows(rows: Any, file: Path, separator: str) -> None:
    with open(file, "w", encoding="utf-8", errors="surrogateescape", newline="") as stream:
        csv.writer(stream, delimiter=separator).writerows(rows)


def _write_json_lines(rows: Any, file: Path) -> None:
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")


def _header(file: Path) -> list[Any]:
    raw = file.read_bytes()
    stop = 8 + int.from_bytes(raw[:8], "little")
    return [json.loads(raw[8:stop]), raw[stop:]]


def _write_header(parts: Any, file: Path) -> None:
    header = json.dumps(parts[0]).encode()
    file.write_bytes(len(header).to_bytes(8, "little") + header + parts[1])


def _write_tensors(tensors: Any, file: Path) -> None:
    from safetensors.torch import save_file

    save_file({str(name): tensor.contiguous().clone() for name, tensor in tensors.items()}, file)


def _tensors(file: Path) -> Any:
    from safetensors.torch import load_file

    return load_file(file)


def _members(file: Path) -> dict[str, bytes]:
    with tarfile.open(file) as archive:
        return {member.name: archive.extractfile(member).read() for member in archive if member.isfile()}  # type: ignore[union-attr]


def _write_members(members: Any, file: Path) -> None:
    with tarfile.open(file, f"w:{file.suffix[1:]}") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def _zipped(file: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(file) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _write_zipped(members: Any, file: Path) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def _torch(file: Path) -> Any:
    return torch.load(file, weights_only=True)


def _write_torch(content: Any, file: Path) -> None:
    torch.save(content, file, _use_new_zipfile_serialization=file.name.startswith("new"))


def _pickled(file: Path) -> Any:
    raw = file.read_bytes()
    if CANARY.encode() in raw:
        raise NotPossible  # the file was replaced by a hostile pickle
    return pickle.loads(raw)


def _columns(file: Path) -> dict[str, list[Any]]:
    import pyarrow
    from pyarrow import parquet

    if file.suffix == ".parquet":
        return parquet.read_table(file).to_pydict()
    with pyarrow.ipc.open_stream(file.read_bytes()) as stream:
        return stream.read_all().to_pydict()


def _write_columns(columns: Any, file: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    for name, values in columns.items():
        kinds = {type(value) for value in values} - {type(None)} if isinstance(values, list) else set()
        if len(kinds) != 1:  # a column has one type, so the odd value fills the column
            odd = next((value for value in values if type(value) is not str), 0) if kinds else values
            columns[name] = [odd] * 3
    table = pyarrow.table({name: pyarrow.array(values) for name, values in columns.items()})
    if file.suffix == ".parquet":
        parquet.write_table(table, file)
        return
    with pyarrow.OSFile(str(file), "wb") as sink, pyarrow.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)


def _datasets(file: Path) -> dict[str, Any]:
    import h5py

    with h5py.File(file) as content:
        return {name: content[name][:] for name in content}


def _write_datasets(datasets: Any, file: Path) -> None:
    import h5py

    with h5py.File(file, "w") as content:
        for name, values in datasets.items():
            if values is None:
                content[name] = h5py.Empty("f")
            elif isinstance(values, dict):
                content.create_group(name)
            elif isinstance(values, str):
                content[name] = h5py.SoftLink(values or "/")
            else:
                content[name] = values


Codec = tuple[Callable[[Path], Any], Callable[[Any, Path], None]]
CODECS: dict[str, tuple[Codec, ...]] = {
    ".json": ((lambda f: json.loads(f.read_bytes()), lambda v, f: f.write_text(json.dumps(v)) and None),),
    ".jsonl": ((lambda f: [json.loads(line) for line in f.read_bytes().splitlines()], _write_json_lines),),
    ".yaml": ((lambda f: yaml.safe_load(f.read_text()), lambda v, f: f.write_text(yaml.safe_dump(v)) and None),),
    ".csv": ((lambda f: _rows(f, ","), lambda v, f: _write_rows(v, f, ",")),),
    ".tsv": ((lambda f: _rows(f, "\t"), lambda v, f: _write_rows(v, f, "\t")),),
    ".safetensors": ((_header, _write_header), (_tensors, _write_tensors)),
    ".pt": ((_torch, _write_torch),),
    ".bin": ((_torch, _write_torch),),
    ".pickle": ((_pickled, lambda v, f: f.write_bytes(pickle.dumps(v, len(f.name) % 6)) and None),),
    ".parquet": ((_columns, _write_columns),),
    ".arrow": ((_columns, _write_columns),),
    ".h5": ((_datasets, _write_datasets),),
    ".whl": ((_zipped, _write_zipped),),
    ".xz": ((_members, _write_members),),
}


def has_values(file: Path) -> bool:
    """Return whether values in a file can be changed, judging by its suffix."""
    return file.suffix in CODECS


def change_values(file: Path, rng: random.Random) -> str:
    """Change a random value in a valid file; return a description.

    Raises
    ------
    NotPossible
        When the file is not valid, or its format cannot hold the new value.
    """
    if not has_values(file):
        raise NotPossible
    load, write = rng.choice(CODECS[file.suffix])
    original = file.read_bytes()
    try:
        value, how = change(load(file), rng)
        write(value, file)
    except Exception:  # an invalid file, or a value that its format cannot hold
        file.write_bytes(original)
        raise NotPossible from None
    return how
