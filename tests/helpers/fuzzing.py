"""Let readers in another process read damaged files, and detect crashes and hangs of that process."""

from __future__ import annotations

import itertools
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SCRIPTS = HERE.parents[1] / "workflow" / "scripts"
LONGEST_CASE = 30.0  # seconds; a reader that takes longer for such small files hangs


class Worker:
    """A process that reads damaged files; it is started when needed, and restarted after it died.

    Parameters
    ----------
    modules : names of the modules that have `READERS`.
    log : file for the output of the readers.
    longest : seconds after which a case counts as hanging.
    """

    def __init__(self, modules: tuple[str, ...], log: Path, longest: float = LONGEST_CASE) -> None:
        self.modules, self.log, self.longest = modules, log, longest
        self._process: subprocess.Popen[bytes] | None = None

    def run(self, reader: str, seed: int | None) -> dict[str, Any]:
        """Return the result of a case: `damage`, whether it was `read`, and the `problem` if there is one."""
        process = self._process = self._process or self._start()
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(f"{json.dumps({'reader': reader, 'seed': seed})}\n".encode())
        damage = process.stdout.readline()
        if not damage:
            raise RuntimeError(f"{reader}, seed {seed}: the harness itself failed: {self.log.read_text()[-2000:]}")
        ready, _, _ = select.select([process.stdout], [], [], self.longest)
        answer = process.stdout.readline() if ready else b""
        if answer:
            return {"damage": json.loads(damage), **json.loads(answer)}
        if ready:  # end of output: the process is ending
            process.wait(timeout=self.longest)
        self.stop()
        problem = f"the process died (exit code {process.returncode})" if ready else f"hangs: over {self.longest:g} s"
        return {"damage": json.loads(damage), "problem": problem, "read": False}

    def stop(self) -> None:
        """End the process."""
        if self._process is not None:
            if self._process.poll() is None:
                self._process.kill()
            self._process.communicate()
            self._process = None

    def _start(self) -> subprocess.Popen[bytes]:
        paths = os.pathsep.join([str(HERE), str(SCRIPTS), os.environ.get("PYTHONPATH", "")])
        environment = os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
        command = [sys.executable, "-X", "faulthandler", str(HERE / "fuzz_worker.py"), *self.modules]
        with open(self.log, "a") as log:
            # unbuffered, because `select` does not see lines in a buffer of Python
            process = subprocess.Popen(
                command, bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=environment
            )
        assert process.stdout is not None
        if process.stdout.readline() != b"ready\n":
            raise RuntimeError(f"the worker process did not start: {self.log.read_text()}")
        return process


def seeds(first: int, cases: int, seconds: float | None) -> Iterable[int]:
    """Return the seeds of `cases` cases, or, if `seconds` is given, of as many cases as fit into this time."""
    if seconds is None:
        return range(first, first + cases)
    stop = time.monotonic() + seconds
    return itertools.takewhile(lambda seed: time.monotonic() < stop, itertools.count(first))
