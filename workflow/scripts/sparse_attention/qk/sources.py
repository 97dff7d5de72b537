"""Import queries and keys that a user brings: dumps of the original code, or folders in our format."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from sparse_attention.errors import InputError
from sparse_attention.files.atomic import atomic_path
from sparse_attention.files.checksums import sha256_of
from sparse_attention.jobs.log import logger
from sparse_attention.jobs.progress import progress
from sparse_attention.originals.dumps import Dump
from sparse_attention.qk.options import ExtractOptions
from sparse_attention.qk.store import SIDECAR, QKInfo, QKReader, QKWriter, shard_path

SPLITS = ("train", "validation")
DUMPS = "*_enc-attn.pt"


class Source:
    """Common interface to a dump of the original code and a store in our format.

    Parameters
    ----------
    path : path-like
        A dump `*_enc-attn.pt`, or a folder with a `qk.json`.
    alpha : float
        Alpha of the attention that the run is configured for.
    causal : bool
        Whether the configuration says that attention is causal; a store may say so as well.

    Raises
    ------
    InputError
        When the files cannot be read, when a store has another alpha, or when causal attention has not as many queries
        as keys.
    """

    def __init__(self, path: str | os.PathLike[str], alpha: float, causal: bool = False) -> None:
        self.path = Path(path)
        self._vectors = QKReader(self.path) if self.path.is_dir() else Dump(self.path)
        if isinstance(self._vectors, QKReader):
            info = self._vectors.info
            if info.alpha != alpha:
                text = f"alpha {info.alpha:g}; allowed: {alpha:g}, as in the attention of this run"
                raise InputError(f"{self.path / SIDECAR}: {text}")
            self.info = replace(info, causal=causal or info.causal)
            files = [self.path / SIDECAR, *(shard_path(self.path, layer) for layer in range(info.layers))]
            self.digests = {file.name: sha256_of(file) for file in files}
        else:
            dump, digest = self._vectors, sha256_of(self.path)
            self.digests = {self.path.name: digest}
            documents = tuple(f"{self.path.name}@{digest[:8]}:{index}" for index in range(len(dump.key_lengths)))
            shape = (dump.layers, dump.heads, dump.head_dim)
            self.info = QKInfo(*shape, dump.query_lengths, dump.key_lengths, documents, causal, alpha)
        self._check_causal()

    def parts(self) -> Iterator[tuple[int, int, Tensor, Tensor]]:
        """Yield (layer, example, queries, keys) in the order on disk; vectors are ``(heads, tokens, head_dim)``."""
        if isinstance(self._vectors, Dump):
            yield from self._vectors.parts()
        else:
            for layer in range(self.info.layers):
                for example in self._vectors.examples(layer):
                    yield layer, example.index, example.queries, example.keys

    def _check_causal(self) -> None:
        for index, lengths in enumerate(zip(self.info.query_lengths, self.info.key_lengths, strict=True)):
            if self.info.causal and lengths[0] != lengths[1]:
                text = f"true, but example {index} of {self.path} has {lengths[0]} queries and {lengths[1]} keys"
                raise InputError(f"extract_qk.causal: {text}; allowed with causal: as many queries as keys")


def find_sources(inputs: Mapping[str, str]) -> dict[str, Path]:
    """Return the paths to read: those of `train` and `validation`, or a single `dump` that `import_sources` splits.

    Parameters
    ----------
    inputs : mapping
        Paths of `dump`, or of `train` and `validation`: files of the original code, or folders. A folder given as
        `dump` is a store, or it holds two stores `train` and `validation`, or it holds `NAME_enc-attn.pt` with or
        without `NAME_validation_enc-attn.pt`, as the original code names its dumps.

    Raises
    ------
    InputError
        When a path does not exist, or a folder holds neither a store nor such dumps.
    """
    if "dump" not in inputs:
        return {split: _single(Path(inputs[split])) for split in SPLITS}
    path = Path(inputs["dump"])
    if all((path / split / SIDECAR).is_file() for split in SPLITS):
        return {split: path / split for split in SPLITS}
    dumps = _dumps(path) if path.is_dir() and not (path / SIDECAR).is_file() else []
    held_out = [dump for dump in dumps if "validation" in dump.name]
    if len(dumps) == 2 and len(held_out) == 1:
        return {"train": next(dump for dump in dumps if dump not in held_out), "validation": held_out[0]}
    return {"dump": _single(path)}


def import_sources(
    paths: Mapping[str, Path], folders: Mapping[str, str], options: ExtractOptions, alpha: float
) -> None:
    """Copy the sources that `find_sources` found into stores of our format, one example at a time.

    A single source is split by document: the last `validation_share` of its documents, at least one, becomes the
    validation split. In a dump, every example is a document of its own.

    Parameters
    ----------
    paths : mapping
        The result of `find_sources`.
    folders : mapping
        Output folders of the train and the validation split.
    options : ExtractOptions
        How to split and store the vectors.
    alpha : float
        Alpha of the attention that the run is configured for.

    Raises
    ------
    InputError
        When a source cannot be read or split, or when train and validation share data or differ in shape.
    """
    sources = {name: Source(path, alpha, options.causal) for name, path in paths.items()}
    if "dump" in sources:
        chosen: dict[str, Sequence[int]] = _split(sources["dump"], options.validation_share)
        origin = dict.fromkeys(SPLITS, sources["dump"])
    else:
        _check_pair(sources["train"], sources["validation"])
        chosen, origin = {split: range(sources[split].info.examples) for split in SPLITS}, sources
    with ExitStack() as stack:
        targets: dict[Path, dict[int, tuple[QKWriter, int]]] = {}
        for split in SPLITS:
            folder = stack.enter_context(atomic_path(folders[split]))
            info = _selected(origin[split], chosen[split], options)
            writer = stack.enter_context(QKWriter(folder, info))
            places = {index: (writer, place) for place, index in enumerate(chosen[split])}
            targets.setdefault(origin[split].path, {}).update(places)
            lengths = f"{sum(info.query_lengths)} queries, {sum(info.key_lengths)} keys"
            logger.info("%s: %d examples of %s, %s", split, info.examples, origin[split].path, lengths)
        for source in sources.values():
            _copy(source, targets[source.path], options.rescale_queries)


def _copy(source: Source, targets: Mapping[int, tuple[QKWriter, int]], rescale_queries: bool) -> None:
    scale = source.info.head_dim**0.5 if rescale_queries else 1.0
    total = source.info.layers * source.info.examples
    for layer, index, queries, keys in progress(source.parts(), total, f"importing {source.path.name}"):
        writer, place = targets[index]
        try:
            writer.write(layer, place, queries * scale, keys)
        except InputError as error:
            raise InputError(f"{source.path}: example {index}: {error}, in the dtype extract_qk.dtype") from None


def _split(source: Source, share: float) -> dict[str, Sequence[int]]:
    """Return the indices of the examples of each split; raise `InputError` when there is only one document."""
    documents = list(dict.fromkeys(source.info.documents))
    if len(documents) < 2:
        allowed = "at least 2, to split into train and validation, or extract_qk.source: {train: …, validation: …}"
        raise InputError(f"{source.path}: holds {len(documents)} document; allowed: {allowed}")
    held_out = set(documents[-min(max(1, round(share * len(documents))), len(documents) - 1) :])
    validation = [index for index, document in enumerate(source.info.documents) if document in held_out]
    return {"train": sorted(set(range(source.info.examples)) - set(validation)), "validation": validation}


def _check_pair(train: Source, validation: Source) -> None:
    both = f"{train.path} and {validation.path}"
    if sorted(train.digests.values()) == sorted(validation.digests.values()):
        raise InputError(
            f"extract_qk.source: train and validation have the same content ({both}); allowed: different data"
        )
    shared = set(train.info.documents) & set(validation.info.documents)
    if shared:
        raise InputError(f"extract_qk.source: {both} share the document {min(shared)!r}; allowed: none in both")
    shapes = [(info.layers, info.heads, info.head_dim, info.local_windows) for info in (train.info, validation.info)]
    if shapes[0] != shapes[1]:
        text = f"{both} have {shapes[0][:3]} and {shapes[1][:3]} layers, heads and head_dim"
        raise InputError(f"extract_qk.source: {text}; allowed: the same numbers and the same local windows")


def _selected(source: Source, chosen: Sequence[int], options: ExtractOptions) -> QKInfo:
    """Return the description of a store that holds the chosen examples of a source."""
    info = source.info
    return replace(
        info,
        query_lengths=tuple(info.query_lengths[index] for index in chosen),
        key_lengths=tuple(info.key_lengths[index] for index in chosen),
        documents=tuple(info.documents[index] for index in chosen),
        dtype=options.dtype,
        source={"name": source.path.name, "sha256": source.digests, "rescale_queries": options.rescale_queries},
    )


def _single(path: Path) -> Path:
    """Return the only dump or store at `path`; raise `InputError` when there is none or more than one."""
    if not path.exists():
        raise InputError(f"extract_qk.source: {path} does not exist; allowed: a dump or a folder")
    if path.is_file() or (path / SIDECAR).is_file():
        return path
    dumps = _dumps(path)
    if len(dumps) == 1:
        return dumps[0]
    found = ", ".join(sorted(entry.name for entry in path.iterdir())[:8]) or "nothing"
    raise InputError(f"extract_qk.source: {path} holds {found}; allowed: one {DUMPS}, or a folder with {SIDECAR}")


def _dumps(folder: Path) -> list[Path]:
    """Return the dumps in a folder, without hidden files such as those of macOS."""
    return sorted(path for path in folder.glob(DUMPS) if not path.name.startswith("."))
