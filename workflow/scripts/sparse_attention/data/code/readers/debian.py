"""C functions out of Debian source packages, labelled by the patches that fix them."""

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
# what a fix changes in tests is no defect of the program
TESTS = re.compile(r"(^|/)(test|fuzz|regress/)|[-_]tests?\.[ch]$", re.IGNORECASE)


@dataclass(frozen=True)
class Debian(CodeReader):
    """The functions that patches of source packages fix, and others beside them.

    What a package's patches do to C files is applied in their order. Where one that counts as a fix changes a function,
    in more than comments and layout, the version before it is labelled 1. Label 0 have, in all files that fixes change,
    the functions as they are after the last patch, fixed or never touched. A function that a fix removes or renames has
    no version after it and is left out.

    Attributes
    ----------
    patches : sequence of str
        Patterns of the names of the patches that are fixes, in any case, such as ``*CVE*``.
    """

    name = "debian"
    options = {
        "patches": {"type": "array", "minItems": 1, "uniqueItems": True, "items": {"type": "string", "minLength": 1}}
    }
    suffixes = (".tar", ".xz")  # `.tar` is what is left of .tar.gz and .tar.bz2

    patches: Sequence[str] = ("*CVE*",)

    def read(self, files: Mapping[str, list[Path]], intake: Intake) -> Iterator[Function]:
        """Yield the functions of label 1 and then those of label 0, so that label 1 stays where repeats are dropped.

        Parameters
        ----------
        files : mapping
            Tarballs by split, see `packages_of`; under "" when the data set does not name splits.
        intake : Intake
            Counts patches that do not apply, files of tests and those that are not UTF-8, and functions that are left
            out.

        Raises
        ------
        InputError
            When a tarball is damaged, unsafe or lacks its other half, there is no git, or no patch fits the patterns.
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
        if not any(_fits(name, patterns) for name in names):
            there = ", ".join(sorted(names)) or "no patches"
            packages = some_of(path for paths in files.values() for path in paths)
            raise InputError(f"{packages}: no patch fits {', '.join(patterns)} (patches); there are {there}")
        intake.read += len(positives) + len(others)
        yield from positives
        yield from others


def _fits(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(name.lower(), pattern.lower()) for pattern in patterns)


def _rule(patch: Patch) -> str:
    """Return the CVE ids in a patch's name, else those in the text above its first change, else its name."""
    ids = CVE.findall(patch.name) or CVE.findall(patch.header)
    return ",".join(sorted({found.upper() for found in ids})) or patch.name


def _history_of(package: Package, split: str, patterns: Sequence[str]) -> _History:
    with TemporaryDirectory() as folder:
        source = unpacked(package, Path(folder))
        history = _History(package.name, split, source)
        for patch in source.patches:
            history.apply(patch, _fits(patch.name, patterns))
        history.finish()
    return history


class _History:
    """What the fixes of one package do to its functions.

    Attributes
    ----------
    patches : list of str
        The names of all patches, fixes or not.
    intake : Intake
        Its own: threads that count in one lose counts.
    sound : list of Function
        The functions of label 0, once `finish` was called.
    """

    def __init__(self, project: str, split: str, source: Source) -> None:
        self.project, self.split, self._source = project, split, source
        self.patches = [patch.name for patch in source.patches]
        self.intake = Intake()
        self.sound: list[Function] = []
        self._paths: set[str] = set()
        self._undecodable: set[str] = set()
        # by path, name and place among those of that name: each version before a fix, by its code
        self._before: dict[tuple[str, str, int], dict[str, Function]] = {}

    def apply(self, patch: Patch, is_fix: bool) -> None:
        """Apply the next patch and, if it is a fix, keep what it changes."""
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
        """Return the functions of label 1: each version once, in the order in which they were fixed."""
        return [function for versions in self._before.values() for function in versions.values()]

    def finish(self) -> None:
        """Collect the functions of label 0 from the files as they now are, and count what could not be used."""
        for path in sorted(self._paths):
            if TESTS.search(path):
                self.intake.drop("files of tests")
                continue
            parsed = self._parse(path, self._source.read(path))
            self._leave_out("functions with what the parser of C takes for an error", parsed.broken)
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
