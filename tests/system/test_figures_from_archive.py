"""`make figures-from-archive` as a newcomer calls it: an environment of its own, which needs a package index."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

DRAWN = "from-archive/results"
LIMIT = 300e6


def size_of(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir())


def figures(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in [*folder.glob("figures/*"), folder / "report.html"]}


def test_figures_are_drawn_in_a_small_environment_without_torch(checkout):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    made = subprocess.run(
        ["make", "figures-from-archive"], cwd=checkout.folder, env=environment, capture_output=True, text=True
    )
    assert made.returncode == 0, made.stdout + made.stderr
    packages = checkout.folder / ".venv-figures/lib"
    assert not list(packages.glob("*/site-packages/torch")) and list(packages.glob("*/site-packages/snakemake"))
    compiled = sum(path.stat().st_size for path in packages.rglob("*.pyc"))
    assert size_of(packages) - compiled <= LIMIT

    ours = figures(checkout.folder / DRAWN)
    run = checkout.snakemake(
        "figures", "results/report.html", configfiles=("archive/reference/config.yaml", "config/zenodo.yaml")
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert len(ours) > 20 and figures(checkout.folder / "results") == ours
