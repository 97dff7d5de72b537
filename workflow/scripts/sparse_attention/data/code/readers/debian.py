"""Reads C functions from Debian source packages, labelled by the patches that fix them."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from sparse_attention.data.code import c_functions
from sparse_attention.data.code.debian_packages import Package, Patch, Source, packages_of, unpacked
from sparse_attention.data.code.functions import Function, Intake
from sparse_attention.data.code.readers.base import CodeReader
from sparse_attention.data.files import some_of
from sparse_attention.errors import InputError
from sparse_attention.jobs.progress import progress

CVE = re.compile(r"CVE-\d{4}-\d{4,}", re.IGNORECASE)
# a fix's changes in tests do not show defects of the program
TESTS = re.compile(r"(^|/)(test|fuzz|regress/)|[-_]tests?\.[ch]$", re.IGNORECASE)


@dataclass(frozen=True)
class Debian(CodeReader):
    """Reads the functions that patches of source packages fix, and other functions of the same files.

    The patches of a package are applied to its C files in order. When a patch that is a fix changes a function, in more
    than comments and layout, the version before the patch gets label 1. Functions in these files as they are after the
    last patch get label 0, whether they were fixed or never changed. A function that a fix removes or renames is left
    out, because it has no version after the fix.

    Attributes
    ----------
    patches : sequence of str
        Patterns of the names of the patches that are fixes, in any case, such as ``*CVE*``.
    """

    name = "debian"
    options = {
        "patches": {"type": "array", "minItems": 1, "uniqueItems": True, "items": {"type": "string", "minLength": 1}}
    }
    suffixes = (".tar", ".xz")  # `.tar` is the suffix of .tar.gz and .tar.bz2 without compression

    patches: Sequence[str] = ("*CVE*",)

    def read(self, files: Mapping[str, list[Path]], intake: Intake) -> Iterator[Function]:
        """Yield the functions of label 1 and then those of label 0, so that of equal functions label 1 is kept.

        Parameters
        ----------
        files : mapping
            Tarballs by split, see `packages_of`; under "" when the data set does not name splits.
        intake : Intake
            Counts patches that do not apply, files of tests or not in UTF-8, and functions that are left out.

        Raises
        ------
        InputError
            When a tarball is damaged, unsafe or missing, git is not installed, or no patch matches the patterns.
        """
        patterns = self.patches
        given = [(split, package) for split, paths in files.items() for package in packages_of(paths)]
        positives, others, names = [], [], set()
        with ThreadPoolExecutor(self.threads) as pool:
            histories = pool.map(lambda item: _history_of(item[1], item[0], patterns), given)
            for history in progress(histories, len(given), "reading packages"):
                intake.add(history.intake)
                names.update(history.patches)
                positives += history.defective()
                others += history.sound
        if not any(_matches(name, patterns) for name in names):
            there = ", ".join(sorted(names)) or "no patches"
            packages = some_of(path for paths in files.values() for path in paths)
            raise InputError(f"{packages}: no patch matches {', '.join(patterns)} (option patches); there are {there}")
        intake.read += len(positives) + len(others)
        yield from positives
        yield from others


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(name.lower(), pattern.lower()) for pattern in patterns)


def _rule(patch: Patch) -> str:
    """Return the CVE ids in a patch's name, or those in its header, or the name when there are none."""
    ids = CVE.findall(patch.name) or CVE.findall(patch.header)
    return ",".join(sorted({found.upper() for found in ids})) or patch.name


def _history_of(package: Package, split: str, patterns: Sequence[str]) -> _History:
    with TemporaryDirectory() as folder:
        source = unpacked(package, Path(folder))
        history = _History(package.name, split, source)
        for patch in source.patches:
            history.apply(patch, _matches(patch.name, patterns))
        history.finish()
    return history


class _History:
    """Collects the versions of one package's functions while its patches are applied.

    Attributes
    ----------
    patches : list of str
        The names of all patches, also of those that are not fixes.
    intake : Intake
        The package's own counts: threads that share an intake would lose counts.
    sound : list of Function
        The functions of label 0, filled by `finish`.
    """

    def __init__(self, project: str, split: str, source: Source) -> None:
        self.project, self.split, self._source = project, split, source
        self.patches = [patch.name for patch in source.patches]
        self.intake = Intake()
        self.sound: list[Function] = []
        self._paths: set[str] = set()
        self._undecodable: set[str] = set()
        # by path, name and index among the functions of that name: each version before a fix, by its code
        self._before: dict[tuple[str, str, int], dict[str, Function]] = {}

    def apply(self, patch: Patch, is_fix: bool) -> None:
        """Apply the next patch and, if it is a fix, keep the functions that it changes."""
        paths = patch.paths if is_fix else ()
        before = [self._source.read(path) for path in paths]
        if not self._source.apply(patch):
            self.intake.drop("patches that do not apply")
            return
        self._paths.update(paths)
        rule = _rule(patch)
        for path, old in zip(paths, before, strict=True):
            if not TESTS.search(path):
                new = self._source.read(path)
                self._compare(self._parse(path, old), self._parse(path, new), path, rule)

    def defective(self) -> list[Function]:
        """Return the functions of label 1, each version once, in the order of the fixes."""
        return [function for versions in self._before.values() for function in versions.values()]

    def finish(self) -> None:
        """Collect the functions of label 0 from the patched files, and count files and functions that are left out."""
        for path in sorted(self._paths):
            if TESTS.search(path):
                self.intake.drop("files of tests")
                continue
            parsed = self._parse(path, self._source.read(path))
            self._leave_out("functions in which the parser of C finds an error", parsed.broken)
            for name, functions in parsed.functions.items():
                for place, (text, code) in enumerate(functions):
                    if code not in self._before.get((path, name, place), {}):
                        self.sound.append(Function(text, 0, self.project, path, split=self.split))
        self.intake.drop("files that are not UTF-8", len(self._undecodable))

    def _compare(self, before: c_functions.CFile, after: c_functions.CFile, path: str, rule: str) -> None:
        for name, olds in before.functions.items():
            news = after.functions.get(name, [])
            if len(news) != len(olds):
                self._leave_out("functions that a fix removes or renames", len(olds))
                continue
            for place, (old, new) in enumerate(zip(olds, news, strict=True)):
                if old.code != new.code:
                    lines = c_functions.changed_lines(old.text, new.text)
                    function = Function(old.text, 1, self.project, path, rule, lines, self.split)
                    self._before.setdefault((path, name, place), {}).setdefault(old.code, function)

    def _parse(self, path: str, content: bytes | None) -> c_functions.CFile:
        try:
            return c_functions.parse(content or b"")
        except UnicodeDecodeError:
            self._undecodable.add(path)
            return c_functions.CFile({}, 0)

    def _leave_out(self, reason: str, count: int) -> None:
        self.intake.read += count
        self.intake.drop(reason, count)
