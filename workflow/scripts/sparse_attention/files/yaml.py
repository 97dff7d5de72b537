"""Reads a user's YAML and JSON strictly: it refuses mistakes that the usual parsers ignore, such as a repeated key."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from sparse_attention.errors import InputError
from sparse_attention.files.yaml_values import LONGEST, shown

TEXT, MERGE = "tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"
READ_AS = {"int": "a number", "float": "a number", "bool": "true or false", "null": "null", "timestamp": "a date"}
"""What YAML reads a value without quotes as, by the last part of the value's tag."""
# YAML reads 010 as 8 and 1:30 as 90, which their writer hardly means
OTHER_BASE = re.compile(r"[-+]?(0[0-7_]+|[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?)")
MARKS = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")
"""First bytes of files in UTF-16 or UTF-32."""


class Fault(NamedTuple):
    """A mistake in a file: the path of the key, its lines, and what is wrong with it.

    `misread` says that YAML reads text without quotes as something else than it looks like.
    """

    key: tuple[Any, ...]
    lines: tuple[int, ...]
    text: str
    misread: bool = False


def dotted(key: tuple[Any, ...]) -> str:
    """Return a key path as text, such as `evaluate.windows[2]`; long and unprintable keys are shortened and escaped."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{_short(str(part))}" for part in key)
    return text.removeprefix(".") or "(top level)"


def read_mapping(file: Path, within: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the mapping in a YAML or JSON file.

    Parameters
    ----------
    file : Path
        The file.
    within : tuple of str
        The path of the key to which the caller's part is confined; what stands beside it is another's, and may be
        written as that one likes.

    Raises
    ------
    InputError
        When the file cannot be read, or is not UTF-8, YAML or a mapping; when a key appears twice or is not text; when
        YAML reads a value as something else than it looks like. One line for each problem, with file and line.
    """
    text = _text(file)
    content, faults = _from_json(text, within) or _from_yaml(text, str(file), within)
    if faults:
        raise InputError(*(f"{file}{_lines(fault.lines)}: {dotted(fault.key)}: {fault.text}" for fault in faults))
    if content is None:
        raise InputError(f"{file}: is empty; allowed: at least one `key: value`")
    if not isinstance(content, dict):
        kind = "a list" if isinstance(content, list) else "a single value"
        raise InputError(f"{file}: holds {kind}; allowed: keys with values, `key: value`")
    if "__use_yte__" in content:
        raise InputError(f"{file}: __use_yte__: templates are not read; write the values themselves")
    return content


def parse(text: str, origin: str) -> yaml.Node | None:
    """Return the nodes of one YAML text, None when it is empty.

    Raises
    ------
    InputError
        When it is not YAML; the message starts with `origin`.
    """
    try:
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise InputError(f"{origin}{_lines((mark.line + 1,) if mark else ())}: not YAML: {_why(error)}") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise InputError(f"{origin}, line {line}: not YAML: it holds the character {chr(error.character)!a}") from None
    except RecursionError:
        raise InputError(f"{origin}: not read: it is nested too deeply") from None


def faults_of(node: yaml.Node) -> Iterator[Fault]:
    """Yield keys that appear twice or are not text, and values that YAML reads differently than they look."""
    yield from _faults(node, (), frozenset(), set())


def _short(name: str) -> str:
    return name if name.isprintable() and len(name) <= LONGEST else shown(name)


def _text(file: Path) -> str:
    try:
        if file.exists() and not file.is_file():
            raise InputError(
                f"{file}: not a plain file; allowed: a plain file, since the workflow reads it several times"
            )
        data = file.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{file}: no such file") from None
    except OSError as error:
        raise InputError(f"{file}: cannot be read: {error.strerror}") from None
    if data.startswith(MARKS):
        raise InputError(f"{file}, line 1: is UTF-16 or UTF-32; save it as UTF-8")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(f"{file}, line {line}: a character that is not UTF-8; save the file as UTF-8") from None


class _Pairs(list[tuple[str, Any]]):
    """The pairs of a JSON object, in which repeated keys are kept."""


def _concerning(faults: Iterable[Fault], within: tuple[str, ...]) -> list[Fault]:
    """Return the faults of a key, of what is below it, and of what is around it."""
    return [fault for fault in faults if all(one == other for one, other in zip(fault.key, within, strict=False))]


def _from_json(text: str, within: tuple[str, ...]) -> tuple[Any, list[Fault]] | None:
    """Return content and faults when `text` is JSON, otherwise None; Snakemake, too, tries JSON before YAML."""
    try:
        pairs = json.loads(text, object_pairs_hook=_Pairs)
    except (ValueError, RecursionError):
        return None
    faults: list[Fault] = []
    content = _merged(pairs, (), faults)
    # the JSON parser gives no line numbers; the YAML parser does, and reads most JSON
    with contextlib.suppress(InputError):
        node = parse(text.replace("\t", " "), "") if faults else None
        faults = list(faults_of(node)) if node else faults
    return content, _concerning(faults, within)


def _merged(value: Any, key: tuple[Any, ...], faults: list[Fault]) -> Any:
    if isinstance(value, _Pairs):
        content: dict[str, Any] = {}
        for name, item in value:
            if name in content:
                text = "appears twice, and only the last value would count; write it once"
                faults.append(Fault((*key, name), (), text))
            content[name] = _merged(item, (*key, name), faults)
        return content
    if isinstance(value, list):
        return [_merged(item, (*key, index), faults) for index, item in enumerate(value)]
    return value


def _from_yaml(text: str, origin: str, within: tuple[str, ...]) -> tuple[Any, list[Fault]]:
    node = parse(text, origin)
    if node is None:
        return None, []
    faults = _concerning(faults_of(node), within)
    if faults:
        return None, faults
    try:
        return yaml.SafeLoader("").construct_document(node), []
    except yaml.MarkedYAMLError as error:
        line = (error.problem_mark or node.start_mark).line + 1
        raise InputError(f"{origin}, line {line}: not read: {_why(error)}") from None
    except ValueError as error:
        raise InputError(f"{origin}: not read: {error}") from None


def _faults(node: yaml.Node, key: tuple[Any, ...], above: frozenset[int], seen: set[int]) -> Iterator[Fault]:
    if id(node) in above:
        yield Fault(key, (_line(node),), "contains itself: an alias is inside its own anchor")
    elif isinstance(node, yaml.ScalarNode):
        yield from _scalar_faults(node, key)
    elif id(node) not in seen:
        seen.add(id(node))
        above |= {id(node)}
        if isinstance(node, yaml.MappingNode):
            yield from _key_faults(node, key)
            for name, value in node.value:
                yield from _faults(value, (*key, name.value) if isinstance(name, yaml.ScalarNode) else key, above, seen)
        else:
            for index, item in enumerate(node.value):
                yield from _faults(item, (*key, index), above, seen)


def _key_faults(node: yaml.MappingNode, key: tuple[Any, ...]) -> Iterator[Fault]:
    lines: dict[str, list[int]] = {}
    for name, _ in node.value:
        if not isinstance(name, yaml.ScalarNode):
            yield Fault(key, (_line(name),), "a list or mapping is used as a key; allowed: text")
            continue
        lines.setdefault(name.value, []).append(_line(name))
        if name.tag not in (TEXT, MERGE):
            kind = READ_AS.get(name.tag.rpartition(":")[2], "no text")
            text = f"YAML reads this key as {kind}; to make it text write '{name.value}' in quotes"
            yield Fault((*key, name.value), (_line(name),), text, misread=True)
    for repeated, places in lines.items():
        if len(places) > 1:
            times = "twice" if len(places) == 2 else f"{len(places)} times"
            text = f"appears {times}, and only the last value would count; write it once"
            yield Fault((*key, repeated), tuple(places), text)


def _scalar_faults(node: yaml.ScalarNode, key: tuple[Any, ...]) -> Iterator[Fault]:
    kind = node.tag.rpartition(":")[2]
    if node.style is not None:
        return
    if kind == "timestamp":
        text = f"YAML reads {node.value} as a date; to make it text write '{node.value}' in quotes"
        yield Fault(key, (_line(node),), text, misread=True)
    elif kind in ("int", "float") and OTHER_BASE.fullmatch(node.value):
        number = yaml.safe_load(node.value)
        text = f"YAML reads {node.value} as {number}; write {number}, or for text '{node.value}' in quotes"
        yield Fault(key, (_line(node),), text, misread=True)


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _lines(lines: tuple[int, ...]) -> str:
    if not lines:
        return ""
    *first, last = map(str, lines)
    return f", lines {', '.join(first)} and {last}" if first else f", line {last}"


def _why(error: yaml.MarkedYAMLError) -> str:
    """Return in one line why the parser stopped."""
    problem = error.problem or error.context or ""
    if "'\\t'" in problem:
        return "a tab; YAML is indented by spaces only"
    if "a single document" in (error.context or ""):
        return "a second document starts at `---`; allowed: one document"
    return " ".join(", ".join(filter(None, [error.context, error.problem])).split())
