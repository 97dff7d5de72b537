"""Wheels become labelled functions: bandit's findings, the outermost functions, no comments that reveal the label."""

from __future__ import annotations

import ast
import zipfile

import pytest

from sparse_attention.data.code.functions import Intake
from sparse_attention.data.code.readers import bandit
from sparse_attention.errors import InputError

MODULE = '''import subprocess, pickle


def safe(value):
    """Nothing to see."""
    return value + 1


class Runner:
    @property
    def run(self):
        command = self.command
        return subprocess.call(command, shell=True)  # nosec B602: trusted

    async def load(self, stream):
        def inner():
            return pickle.loads(stream.read())
        assert stream
        return inner()
'''
OPTIONS = {"ignored_rules": ["B101"], "threads": 2}


@pytest.fixture
def wheel(tmp_path):
    path = tmp_path / "Some_Package-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("some_package/module.py", MODULE)
        archive.writestr("some_package/two.py", "def broken(:\n")
        archive.writestr("some_package/latin.py", "x = 1  # \xe9".encode("latin-1"))
        archive.writestr("some_package/data.txt", "def no(): pass")
    return path


def test_findings_label_functions(wheel):
    intake = Intake()
    safe, run, load = bandit.Bandit(**OPTIONS).read({"": [wheel]}, intake)
    assert [f.label for f in (safe, run, load)] == [0, 1, 1]
    assert {f.project for f in (safe, run, load)} == {"some-package"} and safe.path == "some_package/module.py"
    assert run.rule == "B602" and load.rule == "B301"
    assert run.source.splitlines()[run.lines[0] - 1].strip() == "return subprocess.call(command, shell=True)"
    assert "pickle.loads" in load.source.splitlines()[load.lines[0] - 1]
    assert safe.lines == () and safe.rule == ""
    assert (intake.read, dict(intake.dropped)) == (3, {"files that Python 3 cannot read": 2})


def test_text_is_dedented_python_that_does_not_reveal_its_label(wheel):
    for function in bandit.Bandit(**OPTIONS).read({"": [wheel]}, Intake()):
        ast.parse(function.source)
        assert "nosec" not in function.source and function.source.startswith(("def ", "async def "))


def test_ignored_rules_do_not_count(wheel):
    counted = list(bandit.Bandit().read({"": [wheel]}, Intake()))
    assert counted[2].rule == "B101,B301"
    ignored = list(bandit.Bandit(ignored_rules=["B101", "B301", "B602"]).read({"train": [wheel]}, Intake()))
    assert [f.label for f in ignored] == [0, 0, 0] and {f.split for f in ignored} == {"train"}


def test_the_order_of_wheels_is_the_given_one_whatever_their_sizes_and_the_threads(wheel, tmp_path):
    other = tmp_path / "another-2-py3-none-any.whl"
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("a.py", "def f():\n    pass\n")
    for wheels, projects in (
        ([wheel, other], ["some-package"] * 3 + ["another"]),
        ([other, wheel], ["another"] + ["some-package"] * 3),
    ):
        one, two = (list(bandit.Bandit(["B101"], threads).read({"": wheels}, Intake())) for threads in (1, 2))
        assert one == two and [f.project for f in one] == projects


def test_a_damaged_wheel_is_named(tmp_path):
    (tmp_path / "bad-1-py3-none-any.whl").write_bytes(b"zip")
    with pytest.raises(InputError, match="bad-1-py3-none-any.whl: is not a readable wheel"):
        list(bandit.Bandit(**OPTIONS).read({"": [tmp_path / "bad-1-py3-none-any.whl"]}, Intake()))


@pytest.mark.parametrize(
    ("line", "left"),
    [
        ("x = 1  # nosec\n", "x = 1\n"),
        ("x = 1  #NOQA: S602 because\n", "x = 1\n"),
        ("x = 1  # a noqable thing\n", "x = 1  # a noqable thing\n"),
        ("x = '#'  # fine\n", "x = '#'  # fine\n"),
    ],
)
def test_comments_for_analysers_are_removed(line, left):
    assert bandit.TELLTALE.sub("", line) == left


@pytest.mark.parametrize(
    "content",
    [b"\xef\xbb\xbf" + MODULE.encode(), MODULE.replace("\n", "\r\n").encode(), ("# \f\f\x1c\n" + MODULE).encode()],
    ids=["byte order mark", "windows", "form feeds"],
)
def test_line_ends_and_byte_order_marks_do_not_change_functions(content):
    def found(module):
        return [function.source for function in bandit.functions_in(module, {}, "p", "a.py", Intake())]

    assert found(content) == found(MODULE.encode()) and len(found(content)) == 3


def test_a_wheel_with_damage_inside_is_named(wheel):
    content = wheel.read_bytes()
    wheel.write_bytes(content[:60] + b"\xff" * 40 + content[100:])
    with pytest.raises(InputError, match="Some_Package-1.0-py3-none-any.whl: is not a readable wheel: "):
        list(bandit.Bandit(**OPTIONS).read({"": [wheel]}, Intake()))


def test_a_file_that_bandit_cannot_read_is_left_out(tmp_path):
    path = tmp_path / "deep-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("deep/a.py", "def f(a):\n    return eval(a)\n\nx = " + "1 + " * 2000 + "1\n")
        archive.writestr("deep/b.py", "def g(a):\n    return eval(a)\n")
        archive.writestr("deep/folder.py/c.py", "def h(a):\n    return a\n")
    intake = Intake()
    assert [(f.path, f.label) for f in bandit.Bandit(**OPTIONS).read({"": [path]}, intake)] == [
        ("deep/b.py", 1),
        ("deep/folder.py/c.py", 0),
    ]
    assert dict(intake.dropped) == {"files that bandit cannot read": 1}


def test_functions_below_deep_expressions_are_found():
    module = "x = " + "1 + " * 900 + "1\ndef f():\n    return 1\nclass C:\n    def g(self):\n        return 2\n"
    found = bandit.functions_in(module.encode(), {}, "p", "a.py", Intake())
    assert [function.source.split("(")[0] for function in found] == ["def f", "def g"]
