"""Reads Python functions from package wheels, labelled by the security analyser bandit."""

from __future__ import annotations

import ast
import collections
import errno
import io
import json
import re
import subprocess
import sys
import tempfile
import textwrap
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sparse_attention.data.code.functions import Function, Intake
from sparse_attention.data.code.readers.base import CodeReader
from sparse_attention.errors import InputError
from sparse_attention.jobs.progress import progress

# comments that silence an analyser would give the label away
TELLTALE = re.compile(r"[ \t]*#[ \t]*(?:nosec|noqa)\b.*", re.IGNORECASE)
Findings = Mapping[int, Sequence[str]]  # rules by line


class Bandit(CodeReader):
    """Reads the outermost functions and methods of package wheels.

    A function is labelled 1 when bandit reports an issue between its first and last line. Comments with `nosec` or
    `noqa` do not suppress issues and are removed from the text.
    """

    name = "bandit"
    suffixes = (".whl",)

    def read(self, files: Mapping[str, list[Path]], intake: Intake) -> Iterator[Function]:
        """Yield the functions of each wheel, in the order of paths and lines.

        Parameters
        ----------
        files : mapping
            Wheels by split; under "" when the data set does not name splits.
        intake : Intake
            Counts files that Python cannot read.
        """
        given = [(split, wheel) for split, wheels in files.items() for wheel in wheels]
        with ThreadPoolExecutor(self.threads) as pool:
            packages = pool.map(lambda item: _functions_of(item[1], item[0], self.ignored_rules), given)
            for functions, own in progress(packages, len(given), "labelling packages"):
                intake.add(own)
                yield from functions


def _functions_of(wheel: Path, split: str, ignored: Sequence[str]) -> tuple[list[Function], Intake]:
    intake = Intake()  # one for each wheel: threads that share one would lose counts
    project = wheel.name.split("-")[0].replace("_", "-").lower()
    with tempfile.TemporaryDirectory() as folder:
        root = _unpack(wheel, Path(folder))
        findings, failed = analyse(root, ignored)
        names = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.py") if path.is_file())
        functions: list[Function] = []
        for name in names:
            own = Intake()
            content = (root / name).read_bytes()
            found = list(functions_in(content, findings.get(name, {}), project, name, own, split))
            if name in failed and not own.dropped:
                intake.drop(
                    "files that bandit cannot read"
                )  # without findings these functions would wrongly be labelled 0
            else:
                intake.add(own)
                functions += found
        return functions, intake


def analyse(root: Path, ignored: Sequence[str]) -> tuple[dict[str, dict[int, list[str]]], set[str]]:
    """Return bandit's findings in a folder, as rules by relative path and line, and the files that it cannot read."""
    report = root.parent / "bandit.json"
    options = ["--recursive", "--quiet", "--exit-zero", "--ignore-nosec", "--format=json", f"--output={report}"]
    skipped = [f"--skip={','.join(ignored)}"] if ignored else []
    command = [sys.executable, "-m", "bandit", *options, *skipped, str(root)]
    ran = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if ran.returncode or not report.is_file():
        raise InputError(f"bandit failed: {ran.stderr.strip()[-500:] or f'exit code {ran.returncode}'}")
    found: dict[str, dict[int, list[str]]] = collections.defaultdict(lambda: collections.defaultdict(list))
    content = json.loads(report.read_text(encoding="utf-8"))
    for issue in content["results"]:
        name = Path(issue["filename"]).relative_to(root).as_posix()
        found[name][issue["line_number"]].append(issue["test_id"])
    return found, {Path(error["filename"]).relative_to(root).as_posix() for error in content["errors"]}


def functions_in(
    content: bytes, findings: Findings, project: str, path: str, intake: Intake, split: str = ""
) -> Iterator[Function]:
    """Yield the outermost functions of one module, labelled by the findings in their lines.

    Parameters
    ----------
    content : bytes
        The source of the module.
    findings : mapping
        Bandit's rules by line, counted from 1.
    project, path : str
        The package, and the module's path in it.
    intake : Intake
        Counts modules that Python cannot parse.
    split : str
        The split of the functions; "" when it is not known.
    """
    try:
        # lines as Python counts them: unlike for `str.splitlines`, a form feed does not end one
        lines = io.StringIO(content.decode("utf-8-sig"), newline=None).readlines()
        tree = ast.parse("".join(lines))
    except (UnicodeDecodeError, SyntaxError, ValueError, RecursionError, MemoryError):
        intake.drop("files that Python 3 cannot read")
        return
    for node in _outermost(tree):
        intake.read += 1
        first, last = node.lineno, node.end_lineno or node.lineno
        hits = {line: rules for line, rules in findings.items() if first <= line <= last}
        source = "".join(TELLTALE.sub("", line) for line in lines[first - 1 : last])
        rules = ",".join(sorted({rule for found in hits.values() for rule in found}))
        places = tuple(sorted(line - first + 1 for line in hits))
        yield Function(textwrap.dedent(source).rstrip("\n"), int(bool(hits)), project, path, rules, places, split)


def _outermost(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    # a stack instead of recursion, because expressions can nest deeper than calls may
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node
        else:
            waiting += reversed(list(ast.iter_child_nodes(node)))


def _unpack(wheel: Path, folder: Path) -> Path:
    root = folder / "package"
    try:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(root, [name for name in archive.namelist() if name.endswith(".py")])
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise
        raise InputError(f"{wheel}: is not a readable wheel: {error}") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError, MemoryError) as error:
        raise InputError(f"{wheel}: is not a readable wheel: {error}") from None
    return root
