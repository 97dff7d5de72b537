"""Runs the workflow in one folder again and again, ends each run early, and looks at what it leaves."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from sparse_attention.files.tensors import read_safetensors

RESUME = "results/**/resume/checkpoint-*/trainer_state.json"
ENDS = {".svg": b"</svg>\n", ".pdf": b"%%EOF\n", ".html": b"</html>\n", ".png": b"IEND\xaeB`\x82"}
PATIENCE = 1800


class EndedRuns:
    """Runs of the workflow in one folder, one after another, each started with the same command.

    Parameters
    ----------
    checkout : Checkout
        Copy of the repository; its outputs are held against those of `finished`.
    finished : Checkout
        Copy in which the run was never disturbed.
    targets : tuple of str
        The files that the runs are to make, with all that these need; by default everything.
    """

    def __init__(self, checkout, finished, targets: tuple[str, ...] = ()) -> None:
        self.checkout, self.finished, self.targets = checkout, finished, targets
        self.folder: Path = checkout.folder
        self.log = self.folder / "runs.log"
        self.log.touch()
        listed = finished.snakemake(*targets, "--summary", "--nolock").stdout.splitlines()
        self.outputs = [Path(line.split("\t")[0]) for line in listed[1:] if "\t" in line]
        assert len(self.outputs) > 50, listed
        self.points: dict[Path, int] = {}

    @property
    def jobs(self) -> int:
        """How many jobs all runs together have finished."""
        return self.log.read_text(encoding="utf-8").count("Finished jobid: ")

    @property
    def total(self) -> int:
        """How many jobs the first run planned."""
        found = re.search(r"^total +(\d+)$", self.log.read_text(encoding="utf-8"), re.MULTILINE)
        return int(found[1]) if found else 0

    def start(self) -> subprocess.Popen[bytes]:
        """Start the next run, in a process group of its own."""
        with self.log.open("a") as stream:
            return subprocess.Popen(
                self.checkout.command(*self.targets),
                cwd=self.folder,
                env=self.checkout.environment,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def start_until(self, reached: Callable[[int], object]) -> subprocess.Popen[bytes]:
        """Start the next run and wait until `reached`, which is called with its process id, returns something true."""
        process, end = self.start(), time.monotonic() + PATIENCE
        while not reached(process.pid):
            assert process.poll() is None, f"the run ended by itself:\n{self.tail()}"
            assert time.monotonic() < end, f"the run does not get there:\n{self.tail()}"
            time.sleep(0.05)
        return process

    def in_training(self) -> bool:
        """Return whether a training is under way, or was interrupted."""
        return any(self.folder.glob("results/**/resume"))

    def end(self, process: subprocess.Popen[bytes], number: int = signal.SIGKILL, group: bool = True) -> None:
        """Send a signal to a run's process group, or to Snakemake alone, and check what the run leaves."""
        if group:
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        process.wait(PATIENCE)
        self.check()

    def finish(self) -> None:
        """Start the last run, let it finish, and hold everything against the undisturbed run."""
        process = self.start()
        assert process.wait(PATIENCE) == 0, self.tail()
        self.check()
        results = self.folder / "results"
        assert [name for name in self.outputs if not (self.folder / name).exists()] == []
        assert list(results.rglob("*.partial*")) == list(results.rglob("resume")) == []
        assert list((self.folder / ".snakemake/jobs").iterdir()) == []
        ours, undisturbed = tables(self.folder), tables(self.finished.folder)
        assert {str(name) for name in self.outputs if is_table(name)} <= ours.keys()
        if self.targets:
            undisturbed = {name: undisturbed[name] for name in ours}
        assert ours.keys() == undisturbed.keys()
        assert [name for name in ours if ours[name] != undisturbed[name]] == []
        resumed = re.findall(r"continuing from step (\d+) of an earlier", self.log.read_text(encoding="utf-8"))
        # a run that was killed right after a training had removed its resume points trains once more
        assert not Counter(self.points.values()) - Counter(map(int, resumed)), (self.points, resumed)

    def check(self) -> None:
        """Check that every output that exists is complete, and remember the points from which trainings resume."""
        for name in self.outputs:
            path = self.folder / name
            if path.is_dir():
                files = {file.relative_to(path) for file in path.rglob("*") if not file.name.startswith(".")}
                whole = self.finished.folder / name
                wanted = {file.relative_to(whole) for file in whole.rglob("*") if not file.name.startswith(".")}
                assert files == wanted, name
                for file in files:
                    check_complete(path / file)
            elif path.exists():
                check_complete(path)
        for state in sorted(self.folder.glob(RESUME), key=os.path.getmtime):
            try:
                step = json.loads(state.read_text(encoding="utf-8"))["global_step"]
            except ValueError:
                continue
            training = state.parent.parent
            self.points[training] = max(step, self.points.get(training, 0))

    def tail(self) -> str:
        """Return the end of what the runs said."""
        return self.log.read_text(encoding="utf-8")[-5000:]


def check_complete(path: Path) -> None:
    """Fail unless a file is complete, as far as its format tells."""
    if path.is_dir():
        return
    if path.suffix == ".json":
        json.loads(path.read_text(encoding="utf-8"))
    elif path.suffix == ".jsonl":
        for line in path.read_text(encoding="utf-8").splitlines():
            json.loads(line)
    elif path.suffix == ".safetensors":
        read_safetensors(path)
    elif path.suffix == ".parquet":
        pd.read_parquet(path)
    elif path.suffix in (".tsv", ".csv"):
        assert path.read_bytes().endswith(b"\n"), path
        pd.read_csv(path, sep="\t" if path.suffix == ".tsv" else ",")
    else:
        content = path.read_bytes()
        assert content.rstrip(b"\n").endswith(ENDS.get(path.suffix, b"").rstrip(b"\n")), path


def tables(folder: Path) -> dict[str, bytes]:
    """Return the tables of a run that do not depend on the time they took, by name."""
    found = {path.relative_to(folder): path for path in (folder / "results").rglob("*.tsv")}
    return {str(name): path.read_bytes() for name, path in found.items() if is_table(name)}


def is_table(name: Path) -> bool:
    """Return whether an output is a table that does not depend on the time it took."""
    return name.suffix == ".tsv" and not {"logs", "benchmarks", "timings"} & set(name.parts)
