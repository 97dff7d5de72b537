"""Delete stages of the results, or list how much disk each takes: python tools/clean.py [STAGE …].

A stage is a folder of results/ (results/README.md lists them), `resources`, what was retrieved, or the folder of
another run: `demo` of `make demo`, `reference` of `make reference`, `from-archive` of `make figures-from-archive`.
Nothing is deleted without a name. A later run makes a deleted stage again only where a job that has to run needs it.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "workflow/scripts"))

from sparse_attention.errors import InputError  # noqa: E402
from sparse_attention.files.room import size  # noqa: E402
from sparse_attention.jobs.lock import claim, release  # noqa: E402

RESULTS = Path("results")
RUNS = (Path("demo"), Path("reference"), Path("from-archive"))
"""Folders in which targets of the Makefile run the workflow, each with results of its own."""
OTHERS = (Path("resources"), *RUNS)


def stages() -> dict[str, Path]:
    """Return the folders that can be deleted, by name."""
    places = [*sorted(RESULTS.glob("*")), *OTHERS]
    return {path.name: path for path in places if path.is_dir() and not path.is_symlink()}


def size_of(folder: Path) -> int:
    """Return the bytes of all files in a folder; links are not followed."""
    paths = (Path(parent, name) for parent, _, names in os.walk(folder) for name in names)
    return sum(path.lstat().st_size for path in paths)


def listing() -> str:
    """Return the disk use of each stage as lines, the largest first."""
    sizes = {name: size_of(path) for name, path in stages().items()}
    others = (path for path in RESULTS.glob("*") if path.is_file() and not path.is_symlink())
    sizes["(files beside the stages: report.html and others)"] = sum(path.stat().st_size for path in others)
    lines = [f"{size(number):>8}  {name}" for name, number in sorted(sizes.items(), key=lambda item: -item[1])]
    return "\n".join([*lines, f'{size(sum(sizes.values())):>8}  in all; to delete some: make clean STAGE="NAME …"'])


def delete(names: list[str]) -> str:
    """Delete stages, and return what was deleted.

    Raises
    ------
    InputError
        When a name is no stage, or a run may be active in this folder; nothing is deleted then. When something cannot
        be deleted, with a line for each stage that was deleted before it.
    """
    known = stages()
    unknown = [name for name in names if name not in known]
    if unknown:
        raise InputError(f"STAGE: {unknown[0]!r} is not allowed; allowed: {', '.join(known) or 'nothing is there'}")
    with _no_other_run():
        lines: list[str] = []
        for name in dict.fromkeys(names):
            try:
                line = f"deleted {known[name]}: {size(size_of(known[name]))}"
                release(known[name])
                shutil.rmtree(known[name])
            except OSError as error:
                text = f"{known[name]}: {error.filename} cannot be deleted: {error.strerror}"
                raise InputError(*lines, f"{text}; allowed: files that you may delete") from None
            lines.append(line)
    return "\n".join(lines)


@contextlib.contextmanager
def _no_other_run() -> Iterator[None]:
    """Hold this folder and those of the other runs, which share its resources, as a run does; refuse as it does."""
    # where no run ever started there is nothing to hold, and no trace should be left
    folders = [folder for folder in (Path(), *RUNS) if Path(folder, ".snakemake").is_dir()]
    try:
        for folder in folders:
            problem = claim((), folder)
            if problem:
                raise InputError(f"nothing was deleted; {folder}: {problem}")
        yield
    except OSError as error:
        raise InputError(f"nothing was deleted; {error.filename}: {error.strerror}") from None
    finally:
        for folder in folders:
            release(folder)


def main() -> None:
    """Read the command line, and list or delete."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("stages", nargs="*", metavar="STAGE", help="folder of results/, resources, or of another run")
    names = [name for given in parser.parse_args().stages for name in given.replace(",", " ").split()]
    try:
        print(delete(names) if names else listing())
    except InputError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
