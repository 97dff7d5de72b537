"""Read damaged files in a separate process, which may crash or hang.

The process prints `ready`, then reads cases from stdin and writes results to stdout, one per line. A case is
`{"reader": name, "seed": number}`; with the seed `null` nothing is damaged. The first line of an answer describes the
damage, before anything is read. The second line tells whether the file was `read`, and a `problem` unless the reader
returned or raised one clear `InputError`.
"""

from __future__ import annotations

import builtins
import contextlib
import importlib
import json
import os
import random
import shutil
import socket
import sys
import tempfile
import traceback
import unicodedata
import warnings
from pathlib import Path
from typing import Any

from damage import damage
from damaged_values import CANARY
from sparse_attention.errors import InputError

MEMORY = 1 << 30  # bytes that a case may use in addition to those in use before it
LONGEST = 2000
FORBIDDEN = ("weights_only=False", "trust_remote_code", "Traceback", "object at 0x", "allocate memory", "<class '")
"""Words that messages must not contain: unsafe advice, and terms that only programmers understand."""

events: list[str] = []


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.connect" and getattr(arguments[0], "family", None) != socket.AF_UNIX:
        events.append(f"reached for the network: {arguments[1]}")
    elif event == "os.system":
        events.append(f"ran {arguments[0]}")


def _refuse_input(prompt: object = "") -> str:
    events.append(f"asked {prompt}")
    raise EOFError


def objection(error: BaseException | None, folder: Path, problems: bool) -> str | None:
    """Return what is wrong with a reader's result; None if it returned or raised an `InputError` of one clear line."""
    if events:
        return events[0]
    if Path(CANARY).exists():
        os.rmdir(CANARY)
        return "ran what is in the file"
    if error is None:
        return None
    if not isinstance(error, InputError):
        places = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)]
        own = [place for place in places if not place.startswith("fuzz_")][:3] + places[-2:]
        return f"{type(error).__name__}: {str(error)[:300]!r} at {' > '.join(own)}"
    text = str(error)
    bad = next((words for words in FORBIDDEN if words in text), None)
    odd = sorted({unicodedata.category(c) for c in text.replace("\n", "")} & {"Cc", "Cs"})
    lines = text.splitlines()
    if len(lines) != 1 and not problems:
        wrong = f"has {len(lines)} lines"
    elif max(map(len, lines)) > LONGEST:
        wrong = f"is {len(text)} characters long"
    elif not problems and str(folder) not in text:
        wrong = "does not name the file"
    elif bad or odd:
        wrong = f"has {bad}" if bad else f"has characters that cannot be shown ({', '.join(odd)})"
    else:
        return None
    return f"the message {wrong}: {text[:500]!r}"


def _used(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) << 10
    return 0


@contextlib.contextmanager
def _limited_memory() -> Any:
    """Make allocations beyond `MEMORY` fail, on systems that support it."""
    if not Path("/proc/self/status").exists():
        yield
        return
    import resource

    before = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (_used("VmData") + MEMORY, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


class Cases:
    """Valid inputs of every reader, built when they are first needed, and damaged copies of them."""

    def __init__(self, modules: list[str], scratch: Path) -> None:
        self.readers = {k: v for module in modules for k, v in importlib.import_module(module).READERS.items()}
        self.scratch = scratch

    def prepare(self, name: str, seed: int | None) -> list[str]:
        """Copy a reader's input and damage the copy, unless `seed` is None; return descriptions of the damage."""
        reader, case = self.readers[name], self.scratch / "case"
        whole = self.scratch / name / "input"
        if not whole.exists():
            whole.mkdir(parents=True)
            reader.build(whole)
        shutil.rmtree(case, ignore_errors=True)
        shutil.copytree(whole, case / "input")
        if seed is None:
            return []
        return damage(case / "input", random.Random(f"{name} {seed}"), reader.only_values)

    def read(self, name: str, whole: bool) -> dict[str, Any]:
        """Read the copy; return whether this worked, and the problem if there is one."""
        reader, case = self.readers[name], self.scratch / "case"
        events.clear()
        error: BaseException | None = None
        try:
            with _limited_memory():
                reader.read(case / "input")
        except BaseException as raised:
            error = raised
        problem = objection(error, case / "input", reader.problems)
        if whole and error is not None:
            problem = f"a valid input is refused: {error!r}"
        return {"problem": problem, "read": error is None}


def main(modules: list[str]) -> None:
    """Answer cases until stdin ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what readers print is not an answer
    cases_in = os.fdopen(os.dup(0))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    warnings.simplefilter("ignore")
    sys.addaudithook(_watch)
    builtins.input = _refuse_input
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        cases = Cases(modules, Path(folder))
        answers.write("ready\n")
        answers.flush()
        for line in cases_in:
            case = json.loads(line)
            answers.write(json.dumps(cases.prepare(case["reader"], case["seed"])) + "\n")
            answers.flush()
            answers.write(json.dumps(cases.read(case["reader"], case["seed"] is None)) + "\n")
            answers.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
