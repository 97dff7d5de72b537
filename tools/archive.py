"""Pack results of a finished run into a bundle: python tools/archive.py [--stages tables figures] [--output FILE.zip].

Any other argument goes to Snakemake, so that a run with `--configfile config/mine.yaml` is packed with the same
argument, and one in a folder of its own with its `--directory`. The bundle is a zip file, or a folder if its name does
not end with `.zip`. docs/archive.md says what each stage holds.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "workflow/scripts"))

from sparse_attention.archiving.packing import pack  # noqa: E402
from sparse_attention.errors import InputError  # noqa: E402
from sparse_attention.files.room import size  # noqa: E402

DEFAULT = Path("results/archive/bundle.zip")
FINISHED = "no update"


def outputs_of_run(folder: Path, arguments: list[str]) -> dict[str, str]:
    """Return the rule of each result of the run in a folder that Snakemake's arguments describe, by the result's path.

    Raises
    ------
    InputError
        When Snakemake refuses the arguments, or the run is not finished.
    """
    place = ["--directory", str(folder), "--cores", "1", "--nolock"]
    command = [sys.executable, "-m", "snakemake", *place, *arguments, "--summary"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InputError(*(done.stderr.strip() or done.stdout.strip()).splitlines())
    head, *rows = [line.split("\t") for line in done.stdout.splitlines() if line.count("\t") > 4]
    columns = [dict(zip(head, row, strict=True)) for row in rows]
    open_jobs = {row["rule"] for row in columns if row["plan"] != FINISHED}
    if open_jobs:
        raise InputError(
            f"the run is not finished: {', '.join(sorted(open_jobs))}; allowed: a finished run (make run), or with "
            "--rerun-triggers mtime one that other code or settings finished"
        )
    return {row["output_file"]: row["rule"] for row in columns if row["rule"] != "-"}


def main() -> None:
    """Read the command line, and pack."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0], allow_abbrev=False)
    parser.add_argument("--stages", nargs="+", default=["tables", "figures"], metavar="STAGE")
    parser.add_argument("--output", type=Path, metavar="FILE.zip", help=f"default: {DEFAULT} in the folder of the run")
    parser.add_argument("-d", "--directory", type=Path, default=Path(), metavar="FOLDER", help="the folder of the run")
    options, arguments = parser.parse_known_args()
    folder = options.directory
    target = options.output or folder / DEFAULT
    stages = [name for given in options.stages for name in given.replace(",", " ").split()]
    try:
        if not folder.is_dir():
            raise InputError(f"--directory: {folder} is no folder; allowed: the folder of a finished run")
        count, volume = pack(target, outputs_of_run(folder, arguments), stages, folder, ROOT)
    except InputError as error:
        sys.exit(str(error))
    print(f"{target}: {count} files of results, {size(volume)}")


if __name__ == "__main__":
    main()
