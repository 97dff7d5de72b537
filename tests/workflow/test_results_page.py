"""The numbers of docs/results.md are those of the archived tables, as its own commands show them."""

from __future__ import annotations

import contextlib
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from sparse_attention.archiving.bundle import Bundle

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/results.md").read_text(encoding="utf-8")
FINDINGS = re.findall(r"^### (\d+)\. ([^\n]*)\n\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"(?<![\w.~])[-+−]?\d+(?:\.\d+)?(?: %)?")


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """Return a folder in which the archive's tables lie as `make figures-from-archive` restores them."""
    folder, bundle = tmp_path_factory.mktemp("restored"), Bundle(ROOT / "archive/reference")
    restored = folder / "from-archive"
    restored.mkdir()
    with contextlib.chdir(restored):
        for member in bundle.members:
            if member.endswith(".tsv"):
                bundle.restore(member)
    return folder


def commands(text):
    return [line.strip() for line in text.splitlines() if line.startswith("    make show ")]


def shown(command, folder):
    """Return the numbers that a command of the page prints."""
    words = dict(word.split("=", 1) for word in shlex.split(command)[2:])
    arguments = [words["TABLE"], *shlex.split(words.get("ARGS", ""))]
    tool = [sys.executable, str(ROOT / "tools/show_table.py"), *arguments]
    done = subprocess.run(tool, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [float(word) for word in re.findall(r"(?<![\w~.])-?\d+(?:\.\d+)?(?:e[-+]?\d+)?(?![\w~])", done.stdout)]


def stated(text):
    """Return the numbers of the bold parts of a finding, each with its decimals and its unit."""
    bold = " ".join(re.findall(r"\*\*(.+?)\*\*", text, re.DOTALL))
    return [word.replace("−", "-") for word in NUMBER.findall(bold)]


def agrees(word, numbers):
    percent = word.endswith("%")
    digits = word.removesuffix(" %").lstrip("+")
    places = len(digits.partition(".")[2])
    # the commands show four digits, so that a last digit of 5 may have been rounded before
    tolerance = 0.51 * 10.0**-places
    return any(abs(float(digits) - number * (100 if percent else 1)) <= tolerance for number in numbers)


def test_findings_are_counted_and_each_has_numbers_and_a_command():
    assert [int(number) for number, *_ in FINDINGS] == list(range(1, len(FINDINGS) + 1))
    assert len(FINDINGS) >= 10
    assert all(stated(text) and commands(text) for *_, text in FINDINGS)


@pytest.mark.parametrize("text", [pytest.param(text, id=title) for _, title, text in FINDINGS])
def test_a_finding_has_the_numbers_that_its_commands_show(text, tables):
    numbers = [number for command in commands(text) for number in shown(command, tables)]
    assert [word for word in stated(text) if not agrees(word, numbers)] == []
