"""Mistakes that parsers of YAML and JSON ignore are refused with file, line and key."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sparse_attention.errors import InputError
from sparse_attention.files.yaml import read_mapping

ROOT = Path(__file__).parents[3]


def complaint(file: Path, content: str | bytes) -> list[str]:
    file.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    with pytest.raises(InputError) as caught:
        read_mapping(file)
    lines = str(caught.value).splitlines()
    assert all(line.startswith(str(file)) for line in lines)
    return [line.removeprefix(str(file)).lstrip(", ") for line in lines]


@pytest.mark.parametrize(
    ("content", "start"),
    [
        ("a: 1\nb: 2\na: 3\n", ["lines 1 and 3: a: appears twice, and only the last value would count"]),
        ("a: 1\n'a': 1\na: 1\n", ["lines 1, 2 and 3: a: appears 3 times"]),
        ("a:\n  b: 1\n  c: {d: 1, d: 1}\n", ["lines 3 and 3: a.c.d: appears twice"]),
        ("a:\n- b: 1\n- b: 1\n  b: 2\n", ["lines 3 and 4: a[1].b: appears twice"]),
        ("a: {b: 1, b: 2}\nc: 1\nc: 2\n", ["lines 2 and 3: c: appears twice", "lines 1 and 1: a.b: appears twice"]),
        ("x: &x {a: 1}\ny: {<<: *x, <<: *x}\n", ["lines 2 and 2: y.<<: appears twice"]),
        ('{"a": 1,\n\t"b": {"c": 1,\n\t"c": 2}}', ["lines 2 and 3: b.c: appears twice"]),
        # JSON that is not YAML: there are no lines
        ('{"a"\n: 1, "a"\n: 2}', [": a: appears twice"]),
        ("2016: {}\n", ["line 1: 2016: YAML reads this key as a number; to make it text write '2016' in quotes"]),
        ("1.0e+3: 1\n", ["line 1: 1.0e+3: YAML reads this key as"]),
        ("a: {on: 1, null: 2, ~: 3}\n", ["line 1: a.on: YAML reads this key as", "line 1: a.null:", "line 1: a.~:"]),
        ("2026-01-31: 1\n", ["line 1: 2026-01-31: YAML reads this key as a date"]),
        ("? [a, b]\n: 1\n", ["line 1: (top level): a list or mapping is used as a key"]),
        ("version: 2026-01-31\n", ["line 1: version: YAML reads 2026-01-31 as a date"]),
        ("seeds: [010]\n", ["line 1: seeds[0]: YAML reads 010 as 8; write 8"]),
        ("final: 1:30\n", ["line 1: final: YAML reads 1:30 as 90; write 90, or for text '1:30' in quotes"]),
        ("a: &a [*a]\n", ["line 1: a[0]: contains itself"]),
    ],
    ids=lambda value: repr(value)[:40] if isinstance(value, str) else None,
)  # fmt: skip
def test_values_that_yaml_reads_differently_than_they_look_are_refused(tmp_path, content, start):
    lines = complaint(tmp_path / "mine.yaml", content)
    assert len(lines) == len(start)
    for line, words in zip(lines, start, strict=True):
        assert line.startswith(words)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"", ": is empty"),
        (b"# all of it is a remark\n", ": is empty"),
        (b"- a\n- b\n", ": holds a list; allowed: keys with values"),
        (b"seeds\n", ": holds a single value"),
        (b"[1, 2]", ": holds a list"),
        (b"threads:\n\ttrain: 1\n", "line 2: not YAML: a tab; YAML is indented by spaces only"),
        (b"a: [1\nb: 2\n", "line 2: not YAML: "),
        (b"a: 'b\n", "line 2: not YAML: "),
        (b"a: *b\n", "line 1: not YAML: found undefined alias 'b'"),
        (b"a: 1\n---\nb: 2\n", "line 2: not YAML: a second document"),
        (b"a: 1\nb: x\x07\n", r"line 2: not YAML: it holds the character '\x07'"),
        (b"a: 1\nb: !!python/object:os.system x\n", "line 2: not read: "),
        ("a: é\n".encode("utf-16"), "line 1: is UTF-16 or UTF-32; save it as UTF-8"),
        (b"a: 1\nb: caf\xe9\n", "line 2: a character that is not UTF-8; save the file as UTF-8"),
        (b"__use_yte__: true\na: ?1 + 1\n", ": __use_yte__: templates are not read"),
        (b"a: " + b"[" * 5000, ": not read: it is nested too deeply"),
    ],
    ids=["empty", "remarks", "list", "text", "json-list", "tab", "syntax", "quote", "alias", "documents", "control",
         "object", "utf-16", "latin-1", "template", "deep"],
)  # fmt: skip
def test_an_unreadable_file_gives_one_line(tmp_path, content, line):
    (found,) = complaint(tmp_path / "mine.yaml", content)
    assert found.startswith(line)


def test_correct_files_are_read(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_bytes(b"\xef\xbb\xbfbase: &base {a: 1, b: [x, 'on']}\nmine: {<<: *base, a: 2}\nagain: *base\n")
    base = {"a": 1, "b": ["x", "on"]}
    assert read_mapping(file) == {"base": base, "mine": {**base, "a": 2}, "again": base}
    file.write_text('{"a": 1e-4,\n\t"b": [null, true]}')
    assert read_mapping(file) == {"a": 1e-4, "b": [None, True]}


def test_nested_aliases_are_read_fast(tmp_path):
    lines = ["a0: &a0 {x: 1}", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 60))]
    file = tmp_path / "mine.yaml"
    file.write_text("\n".join(lines))
    assert len(read_mapping(file)) == 60


@pytest.mark.parametrize("file", sorted((ROOT / "config").rglob("*.yaml")), ids=lambda path: path.name)
def test_the_files_of_the_repository_are_read(file):
    assert read_mapping(file)


def test_missing_files_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"none\.yaml: no such file"):
        read_mapping(tmp_path / "none.yaml")
    with pytest.raises(InputError, match="not a plain file"):
        read_mapping(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="pipe: not a plain file"):
        read_mapping(tmp_path / "pipe")
