"""Writes bundles, as one zip file or as a folder."""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sparse_attention.archiving.bundle import FORMAT, Member
from sparse_attention.files.atomic import atomic_path

EPOCH = (1980, 1, 1, 0, 0, 0)
"""The time of each file in a zip file, so that the same results give the same bytes."""


def member_of(path: str, content: bytes) -> Member:
    """Return the entry of a file with a certain content."""
    return Member(path, len(content), hashlib.sha256(content).hexdigest())


def is_zip(target: Path) -> bool:
    """Return whether a bundle is written as a zip file, and not as a folder."""
    return target.suffix.lower() == ".zip"


def index_of(
    config: Mapping[str, Any],
    stages: Sequence[str],
    members: Iterable[Member],
    data: Sequence[Mapping[str, Any]],
    about: Iterable[Member] = (),
) -> str:
    """Return the text of a bundle's index.

    Parameters
    ----------
    config : mapping
        The whole configuration of the run, without absolute paths.
    stages : sequence of str
        The stages that the bundle holds.
    members : iterable of Member
        The files of results.
    data : sequence of mapping
        The receipts of the data sets and models that the run started from.
    about : iterable of Member
        The files that describe the bundle. Their key is their own, because no run takes them.
    """
    files, beside = ([vars(member) for member in sorted(of, key=lambda one: one.path)] for of in (members, about))
    content = {"format": FORMAT, "stages": list(stages), "config": config, "data": list(data), "files": files}
    content["about"] = beside
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def write(target: Path, files: Mapping[str, Path], texts: Mapping[str, str]) -> None:
    """Write a bundle, a zip file if `target` ends with `.zip`, else a folder; the same files give the same bytes.

    Parameters
    ----------
    target : Path
        Replaced if it exists; never half written.
    files : mapping of str to Path
        Where each file is found, by its path in the bundle.
    texts : mapping of str to str
        The contents of further files.
    """
    with atomic_path(target) as partial:
        if not is_zip(target):
            for name, source in files.items():
                (partial / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, partial / name)
            for name, text in texts.items():
                (partial / name).write_text(text, encoding="utf-8")
            return
        with zipfile.ZipFile(partial, "w") as archive:
            for name in sorted({*files, *texts}):
                entry = zipfile.ZipInfo(name, EPOCH)
                entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
                if name in texts:
                    archive.writestr(entry, texts[name].encode())
                    continue
                with open(files[name], "rb") as source_file, archive.open(entry, "w", force_zip64=True) as stream:
                    shutil.copyfileobj(source_file, stream, 1 << 20)
