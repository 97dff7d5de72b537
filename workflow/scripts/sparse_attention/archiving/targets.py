"""Checks where a bundle is to be written, so that it replaces nothing but an earlier bundle."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from sparse_attention.archiving.bundle import INDEX, Bundle
from sparse_attention.archiving.crate import NAME
from sparse_attention.archiving.writing import is_zip
from sparse_attention.errors import InputError
from sparse_attention.files.atomic import require_writable

ADDED = ("CITATION.cff", "LICENSE", "constraints.txt")
"""Files of the workflow that go into every bundle."""
BESIDE = ("README.md", "config.yaml", NAME)
"""Files of a zipped bundle that also stand beside it, to be read without unpacking it."""
_ALLOWED = "the name of a new file or folder, or that of an earlier bundle, which is replaced"


def require_target(target: Path, outputs: Iterable[str], folder: Path, workflow: Path) -> None:
    """Raise `InputError` when a bundle at a place would replace anything but an earlier bundle.

    Parameters
    ----------
    target : Path
        The bundle: a zip file if it ends with `.zip`, else a folder.
    outputs : iterable of str
        The paths of the run's results in `folder`.
    folder, workflow : Path
        The folder of the run and that of the workflow.
    """
    place = target.resolve()
    for kept in (folder, workflow, Path()):
        if kept.resolve().is_relative_to(place):
            raise _refused(target, f"holds the folder {kept.resolve()}")
    if place.is_relative_to(folder.resolve()):
        inner = place.relative_to(folder.resolve()).as_posix()
        for path in outputs:
            if f"{path}/".startswith(f"{inner}/") or inner.startswith(f"{path}/"):
                raise _refused(target, f"is the place of the result {path}")
    with written_to(target):
        if is_zip(target):
            _require_zip(target)
        else:
            _require_folder(target)
        require_writable(target)


@contextlib.contextmanager
def written_to(target: Path) -> Iterator[None]:
    """Turn an error of the file system into one line that says that the bundle cannot be written."""
    try:
        yield
    except OSError as error:
        raise _refused(target, f"cannot be written ({error.strerror or error})") from None


def _require_zip(target: Path) -> None:
    if target.is_dir():
        raise _refused(target, "is a folder")
    if os.path.lexists(target):
        _earlier(target)
        return
    # what stands beside an earlier bundle is its own, and is replaced with it
    for name in BESIDE:
        if os.path.lexists(target.with_name(name)):
            why = f"would replace {target.with_name(name)}, which stands beside no bundle of this name"
            raise InputError(f"--output: {target} {why}; allowed: a place in another folder, such as a new one")


def _require_folder(target: Path) -> None:
    if not os.path.lexists(target):
        return
    if not target.is_dir():
        raise _refused(target, "is a file whose name does not end with .zip")
    found = sorted(path.relative_to(target).as_posix() for path in target.rglob("*") if not path.is_dir())
    known = {INDEX, *BESIDE, *ADDED, *_earlier(target).members} if INDEX in found else set()
    foreign = [path for path in found if path not in known]
    if foreign:
        raise _refused(target, f"is a folder that holds {foreign[0]}, which is of no earlier bundle")


def _earlier(target: Path) -> Bundle:
    try:
        return Bundle(target)
    except InputError as error:
        raise _refused(target, f"is not an earlier bundle ({error})") from None


def _refused(target: Path, why: str) -> InputError:
    return InputError(f"--output: {target} {why}; allowed: {_ALLOWED}")
