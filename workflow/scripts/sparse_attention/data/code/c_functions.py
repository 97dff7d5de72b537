"""Finds the functions of a C file, and the lines of a function that a newer version changes."""

from __future__ import annotations

import codecs
import difflib
from typing import NamedTuple

import tree_sitter
import tree_sitter_c

from sparse_attention.data.code.duplicates import TOKEN

C = tree_sitter.Language(tree_sitter_c.language())
PARTS = tree_sitter.Query(C, "(function_definition) @function (comment) @comment")


class CFunction(NamedTuple):
    """A function's text, and its tokens without comments, by which versions are compared."""

    text: str
    code: str


class CFile(NamedTuple):
    """The functions of a file by name, in their order, and the number of functions with syntax errors."""

    functions: dict[str, list[CFunction]]
    broken: int


def parse(content: bytes) -> CFile:
    """Return the functions of a C file, with all kinds of line ends turned into newlines.

    A function with a syntax error, such as one from an `#ifdef` that contains only one of two braces, is left out. A
    name may have several functions, for example when `#if` chooses between them.

    Raises
    ------
    UnicodeDecodeError
        When the content is not UTF-8.
    """
    content.decode("utf-8")
    content = content.removeprefix(codecs.BOM_UTF8).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    found = tree_sitter.QueryCursor(PARTS).captures(tree_sitter.Parser(C).parse(content).root_node)
    comments = sorted((node.start_byte, node.end_byte) for node in found.get("comment", []))
    functions: dict[str, list[CFunction]] = {}
    broken = end = place = 0
    for node in sorted(found.get("function", []), key=lambda node: node.start_byte):
        if node.start_byte < end:  # inside another function
            continue
        end = node.end_byte
        if node.has_error:
            broken += 1
            continue
        while place < len(comments) and comments[place][0] < node.start_byte:
            place += 1
        pieces, start = [], node.start_byte
        while place < len(comments) and comments[place][0] < end:
            pieces.append(content[start : comments[place][0]])
            start = comments[place][1]
            place += 1
        code = b" ".join([*pieces, content[start:end]]).decode("utf-8")
        text = content[node.start_byte : end].decode("utf-8")
        functions.setdefault(_name(node), []).append(CFunction(text, " ".join(TOKEN.findall(code))))
    return CFile(functions, broken)


def _name(node: tree_sitter.Node) -> str:
    """Return the innermost declarator: the function's name, or its macro when a macro makes the function's head."""
    inner: tree_sitter.Node | None = node
    while inner is not None:
        node, inner = inner, inner.child_by_field_name("declarator")
    return (node.text or b"").decode("utf-8")


def changed_lines(before: str, after: str) -> tuple[int, ...]:
    """Return the lines of `before`, from 1, that `after` changes; for inserted lines, the next line with text."""
    old, new = before.split("\n"), after.split("\n")
    lines: set[int] = set()
    for kind, first, last, _, _ in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "insert":
            filled = (place for place in range(first, len(old)) if old[place].strip())
            lines.add(next(filled, len(old) - 1) + 1)
        elif kind != "equal":
            lines.update(range(first + 1, last + 1))
    return tuple(sorted(lines))
