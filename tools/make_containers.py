"""Write containers/: recipes of an image that holds the conda environments of all rules, as Snakemake derives them.

Run `make containers` after `make envs`. No conda is needed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
FORMATS = {"Dockerfile": "dockerfile", "apptainer.def": "apptainer"}
HEADER = "# Generated from envs/ by `make containers`: do not edit. docs/conda.md says how to use it.\n"
# Snakemake asks which conda is there; what it writes does not depend on the answer
CONDA = """#!/bin/sh
case "$1" in
    info) echo '{"conda_prefix": "/", "platform": "linux-64"}' ;;
    config) echo '{"get": {"channel_priority": "strict"}}' ;;
    *) echo "conda 99.0.0" ;;
esac
"""


def generated(file: str, workflow: Path = ROOT) -> str:
    """Return the text of one file in containers/; end with Snakemake's message when it cannot write it."""
    with tempfile.TemporaryDirectory() as folder:
        conda = Path(folder, "conda")
        conda.write_text(CONDA, encoding="utf-8")
        conda.chmod(0o755)
        environment = {**os.environ, "PATH": os.pathsep.join([folder, os.environ["PATH"]])}
        command = [sys.executable, "-m", "snakemake", "--quiet", "--containerize", FORMATS[file]]
        run = subprocess.run(command, cwd=workflow, env=environment, capture_output=True, text=True)
    if run.returncode:
        sys.exit(run.stderr)
    return HEADER + run.stdout


def main(folder: Path = ROOT / "containers") -> None:
    """Write all files."""
    folder.mkdir(exist_ok=True)
    for file in FORMATS:
        (folder / file).write_text(generated(file), encoding="utf-8")


if __name__ == "__main__":
    main()
