"""Retrieves the files of a data set, checks them and writes its receipt."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

from sparse_attention.data.registry import difference, own_files, write_receipt
from sparse_attention.data.sources import apt, hub, osf, path, url, wheel, wheels, zenodo
from sparse_attention.data.sources.common import SourceError, Wanted
from sparse_attention.errors import InputError
from sparse_attention.files.checksums import md5_of, sha256_of

logger = logging.getLogger(__name__)

SOURCES: dict[str, ModuleType] = {
    "wheel": wheel,
    "wheels": wheels,
    "apt": apt,
    "hub": hub,
    "osf": osf,
    "zenodo": zenodo,
    "url": url,
}


def retrieve(name: str, entry: dict[str, Any], receipt: Path) -> None:
    """Retrieve the data set `name` into the folder of its `receipt`, which is written last.

    Files that are already there and have the right checksum are not fetched again, whoever put them there.

    Parameters
    ----------
    name : str
        Name of the data set.
    entry : dict
        Its registry entry, see `workflow/schemas/datasets.schema.yaml`.
    receipt : Path
        The file to write: `resources/{dataset}/{version}/receipt.json`.

    Raises
    ------
    InputError
        When a file cannot be fetched or differs from the entry. The message says how to get the file by hand.
    """
    source = entry["source"]
    if source["type"] == "path":
        root, files = own_files(entry)
        _warn_of_repeats(path.resolve(source["path"])[1], files)
    else:
        root = receipt.parent
        root.mkdir(parents=True, exist_ok=True)
        names, source = _fetch_missing(name, entry, root)
        files = [root / local for local in names]
    if entry["kind"] == "model" and not (root / "config.json").is_file():
        raise InputError(f"{root}: not a Hugging Face model folder: config.json is missing")
    write_receipt(receipt, name, entry, source, root, files)
    logger.info("%s %s: %d files in %s", name, entry["version"], len(files), root)


def _fetch_missing(name: str, entry: dict[str, Any], folder: Path) -> tuple[list[str], dict[str, Any]]:
    """Fetch the missing files of an entry; return the names of all in `folder`, and the resolved source."""
    source = entry["source"]
    wanted = [Wanted.of(file) for file in entry["files"]] if "files" in entry else None
    differences = {item.name: _difference(folder / item.name, item) for item in wanted or []}
    missing = [item for item in wanted or [] if differences[item.name]]
    if wanted is not None and not missing:
        return [item.name for item in wanted], source
    downloads = folder / ".download"
    downloads.mkdir(exist_ok=True)
    try:
        if "config" in source:
            names = hub.fetch_config(source, downloads)
            wanted = missing = [Wanted(local, local) for local in names]
        else:
            plan = getattr(SOURCES[source["type"]], "plan", None)
            if plan is not None:
                wanted, source = plan(source, wanted)
                missing = [item for item in wanted if _difference(folder / item.name, item)]
            # a run that was killed may have left whole files
            absent = [item for item in missing if not item.is_checked or _difference(downloads / item.name, item)]
            _announce(name, absent, folder)
            if absent:
                SOURCES[source["type"]].fetch(source, absent, downloads)
    except SourceError as error:
        headline = f"{name}: cannot be fetched: {error}"
        raise InputError(*_instructions(headline, source, missing, folder)) from None
    for item in missing:
        problem = _difference(downloads / item.name, item)
        if problem:
            (downloads / item.name).unlink(missing_ok=True)
            headline = f"{name}: {item.path} {problem}; it was not kept"
            raise InputError(*_instructions(headline, source, [item], folder))
        _accept(name, downloads / item.name, folder / item.name, item)
    shutil.rmtree(downloads)
    return [item.name for item in wanted or []], source


def _warn_of_repeats(found: list[Path], taken: list[Path]) -> None:
    again = path.repeats(found)
    for file in sorted(again.keys() - set(taken)):
        logger.warning("%s is the same file as %s: it is read only once", file, again[file])


def _announce(name: str, missing: list[Wanted], folder: Path) -> None:
    for item in missing:
        problem = _difference(folder / item.name, item)
        if (folder / item.name).exists():
            logger.warning("%s %s; it is fetched again", folder / item.name, problem)
    known = [item.size for item in missing if item.size is not None]
    size = f", {sum(known) / 1e6:.1f} MB" if known else ""
    if missing:
        logger.info("%s: fetching %d files%s", name, len(missing), size)


def _accept(name: str, found: Path, target: Path, item: Wanted) -> None:
    """Move a fetched file, which was checked, to its place."""
    if not item.is_checked:
        logger.warning("%s: the registry has no checksum for %s; found sha256 %s", name, item.path, sha256_of(found))
    target.parent.mkdir(parents=True, exist_ok=True)
    os.replace(found, target)


def _difference(file: Path, item: Wanted) -> str | None:
    problem = difference(file, {"sha256": item.sha256, "size": item.size})
    if problem is None and item.git_sha1 is not None:
        content = file.read_bytes()
        found = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
        if found != item.git_sha1:
            return f"has the wrong checksum: expected git sha1 {item.git_sha1}, found {found}"
    if problem is None and item.md5 is not None:
        found = md5_of(file)
        if found != item.md5:
            return f"has the wrong checksum: expected md5 {item.md5}, found {found}"
    return problem


def _instructions(headline: str, source: dict[str, Any], missing: list[Wanted], folder: Path) -> list[str]:
    """Return the lines of a message: a headline that says what is wrong, and how to get each file by hand."""
    lines = [headline]
    by_hand = SOURCES[source["type"]].by_hand
    if not missing:
        lines.append(f"To get them by hand: {by_hand(source)}; put them in {folder} and name them under `files`.")
    for item in missing:
        place = folder / item.name
        lines.append(f"To get it by hand: {by_hand(source, item)}")
        expected = [f"sha256 {item.sha256}"] if item.sha256 else []
        expected += [f"{item.size} bytes"] if item.size is not None else []
        lines.append(f"  and put it at {place}" + (f" ({', '.join(expected)})" if expected else ""))
        if place.exists():
            lines.append(f"  (the file there {_difference(place, item)})")
    return [*lines, "Then run again: files with the right size and checksum are not fetched."]
