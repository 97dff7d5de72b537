"""Fixtures for all tests: copies of the repository in which the workflow runs, and published tables.

The workflow runs in copies so that no test touches a user's results. Without a GPU, Triton's kernels are interpreted.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest
import torch
from filelock import FileLock

from readable_ids import readable
from zenodo_server import ZenodoServer

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"  # read when Triton is imported, which transformers does


def pytest_make_parametrize_id(val: object, argname: str) -> str:
    """Give every parameter a readable id; raise `ValueError` for a parameter that has none."""
    return readable(val, argname)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests that run Snakemake as slow, so that `make test-fast` leaves them out."""
    for item in items:
        if {"checkout", "shared_checkout", "finished"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)


ROOT = Path(__file__).resolve().parent.parent
NOT_COPIED = shutil.ignore_patterns(
    ".git", ".venv", ".snakemake", "demo", "results", "resources", ".*_cache", "*.egg-info", ".hypothesis"
)
TARGETS = {"all", "default", "tables", "figures", "sparse_mlm"}
TINY = "tests/config/tiny.yaml"


@dataclass(frozen=True)
class Checkout:
    """A copy of the repository."""

    folder: Path

    def snakemake(self, *arguments: str, configfiles: tuple[str, ...] = (TINY,)) -> subprocess.CompletedProcess[str]:
        """Run Snakemake in the copy, on two cores, with the tiny configuration by default."""
        command = self.command(*arguments, configfiles=configfiles)
        return subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=900
        )

    @staticmethod
    def command(*arguments: str, configfiles: tuple[str, ...] = (TINY,)) -> list[str]:
        """Return the command that `snakemake` runs."""
        command = [sys.executable, "-m", "snakemake", "--cores", "2", *arguments]
        return command + (["--configfile", *configfiles] if configfiles else [])

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables of `snakemake`."""
        return {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONHASHSEED": "0"}

    def planned(self, *arguments: str, configfiles: tuple[str, ...] = (TINY,)) -> list[str]:
        """Return the rules of the jobs that a dry run plans, one entry per job; targets are left out."""
        run = self.snakemake("--dry-run", *arguments, configfiles=configfiles)
        output = run.stdout + run.stderr
        assert run.returncode == 0, output
        if "Nothing to be done" in output:
            return []
        counts = re.findall(r"^(\w+) +(\d+)$", output.split("Job stats:")[1].split("\ntotal ")[0], re.MULTILINE)
        return [rule for rule, count in counts for _ in range(int(count)) if rule not in TARGETS]

    def copy(self, folder: Path) -> Checkout:
        """Copy the checkout with its file times and links, so that Snakemake sees the same state."""
        return Checkout(shutil.copytree(self.folder, folder, symlinks=True))

    def write(self, name: str, text: str) -> str:
        """Write a file into the copy and return its name."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return name


def copy_repository(folder: Path, tiny: Path) -> Checkout:
    """Copy the repository and the inputs of the tiny configuration."""
    shutil.copytree(ROOT, folder, ignore=NOT_COPIED)
    shutil.copytree(tiny, folder / "resources" / "tiny")
    return Checkout(folder)


def once(tmp_path_factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """Return a folder that `make` fills once per test session, even if several processes run the tests."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        folder = tmp_path_factory.mktemp(name)
        make(folder)
        return folder
    folder = tmp_path_factory.getbasetemp().parent / name
    with FileLock(folder.with_suffix(".lock")):
        if not folder.with_suffix(".made").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            folder.with_suffix(".made").touch()
    return folder


@pytest.fixture(autouse=True)
def loggers_as_before() -> Iterator[None]:
    """Undo what a test's job did to the loggers, so that the next test sees each message once."""
    loggers = [logging.getLogger(name) for name in ("sparse_attention", "py.warnings")]
    before = [(logger.handlers[:], logger.propagate, logger.level) for logger in loggers]
    yield
    for logger, (handlers, propagate, level) in zip(loggers, before, strict=True):
        logger.handlers, logger.propagate = handlers, propagate
        logger.setLevel(level)
    logging.captureWarnings(False)


@pytest.fixture(scope="session")
def tiny_inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the small dump and the tiny model once."""

    def make(folder: Path) -> None:
        command = [sys.executable, ROOT / "tests" / "make_tiny.py", folder / "tiny"]
        subprocess.run(command, check=True, capture_output=True)

    return once(tmp_path_factory, "inputs", make) / "tiny"


@pytest.fixture
def checkout(tmp_path: Path, tiny_inputs: Path) -> Checkout:
    """Return a fresh copy of the repository without results."""
    return copy_repository(tmp_path / "checkout", tiny_inputs)


@pytest.fixture(scope="module")
def shared_checkout(tmp_path_factory: pytest.TempPathFactory, tiny_inputs: Path) -> Checkout:
    """Return a copy of the repository without results that the tests of a module share."""
    return copy_repository(tmp_path_factory.mktemp("shared") / "checkout", tiny_inputs)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, tiny_inputs: Path) -> Checkout:
    """Return a copy of the repository in which the tiny configuration has run; tests must not change it."""

    def make(folder: Path) -> None:
        run = copy_repository(folder / "checkout", tiny_inputs).snakemake()
        assert run.returncode == 0, run.stdout + run.stderr

    return Checkout(once(tmp_path_factory, "finished", make) / "checkout")


@pytest.fixture
def copy_of_finished(finished: Checkout, tmp_path: Path) -> Checkout:
    """Return a copy of a finished run that a test may change."""
    return finished.copy(tmp_path / "copy")


@pytest.fixture
def zenodo() -> Iterator[ZenodoServer]:
    """Return a server like Zenodo, without drafts and records."""
    server = ZenodoServer()
    with server.running():
        yield server


@pytest.fixture(scope="session")
def fabricate() -> ModuleType:
    """Return the module tests/fabricate.py."""
    spec = importlib.util.spec_from_file_location("fabricate", ROOT / "tests" / "fabricate.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def tables(fabricate: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of published tables with made-up numbers of a run with one seed."""
    return fabricate.published(tmp_path_factory.mktemp("one_seed"))


@pytest.fixture(scope="session")
def tables_of_seeds(fabricate: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of published tables with made-up numbers of a run with three seeds and two attentions."""
    return fabricate.published(tmp_path_factory.mktemp("seeds"), (1, 2, 3), ("entmax~1.5", "entmax~2"))
