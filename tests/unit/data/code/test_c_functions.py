"""The functions of C files: which are found, what counts as a change, and in which lines it is."""

from __future__ import annotations

import pytest

from sparse_attention.data.code import c_functions


def texts(content: str) -> dict[str, list[str]]:
    parsed = c_functions.parse(content.encode())
    return {name: [function.text for function in functions] for name, functions in parsed.functions.items()}


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("static int f(int a) { return a; }", "f"),
        ("int f(a, b) int a; char *b; { return a; }", "f"),
        ("char *f(void)\n{\n\tchar *s = \"}{\";\n\treturn *s == '}' ? s : 0;\n}", "f"),
        ("void f(void) { if (1) { while (0) { } } }", "f"),
        ("static inline void **f(void) { return 0; }", "f"),
        ("int f(void) { /* } */ return 0; // }\n}", "f"),
        ("void f(void) {\n#ifdef DEBUG\n  log(1);\n#endif\n}", "f"),
        ("DEFINE_TEST(f)\n{\n  run();\n}", "(f)"),
        ("struct s *f(struct s *x) { return x->next; }", "f"),
    ],
    ids=["static", "old style", "braces in strings", "nested", "pointers", "comments", "ifdef", "macro", "struct"],
)
def test_the_whole_text_of_a_function_is_found(source, name):
    around = f"#include <x.h>\nint g(int);\n/* f */ {source}\nstatic int v = 3;\n"
    assert texts(around) == {name: [source]}


def test_functions_are_grouped_by_name_in_order():
    source = "#if A\nint f(void) { return 1; }\n#else\nint f(void) { return 2; }\n#endif\nint e(void) { return 3; }\n"
    assert texts(source) == {
        "f": ["int f(void) { return 1; }", "int f(void) { return 2; }"],
        "e": ["int e(void) { return 3; }"],
    }


def test_a_function_with_an_error_is_left_out_and_counted():
    broken = "int f(int a) {\n  foreach(x, y) { g(x); }\n  return a;\n}\n"
    parsed = c_functions.parse(f"{broken}int z(void) {{ return 1; }}\n".encode())
    assert list(parsed.functions) == ["z"] and parsed.broken == 1


def test_an_empty_file_has_no_functions():
    assert c_functions.parse(b"") == c_functions.CFile({}, 0)


def test_bytes_that_are_not_utf_8_are_refused():
    with pytest.raises(UnicodeDecodeError):
        c_functions.parse("/* \xe9 */ int f(void) { return 1; }".encode("latin-1"))


def test_text_is_cut_by_bytes_not_characters():
    assert texts('/* ééé */ int f(void) { return *"é"; } /* ü */') == {"f": ['int f(void) { return *"é"; }']}


@pytest.mark.parametrize(
    ("other", "same"),
    [
        ("int f(void)\n{\n  return 1;\n}", True),
        ("int f(void) { /* one */ return 1; // two\n}", True),
        ("int f(void) { return 2; }", False),
        ('int f(void) { "/* no */"; return 1; }', False),
    ],
)
def test_layout_and_comments_do_not_count_as_changes(other, same):
    first, second = (
        c_functions.parse(text.encode()).functions["f"][0] for text in ("int f(void) { return 1; }", other)
    )
    assert (first.code == second.code) is same


@pytest.mark.parametrize(
    ("after", "lines"),
    [
        ("a\nb\n\nc\nd", ()),
        ("a\nB\n\nc\nd", (2,)),
        ("a\n\nc\nd", (2,)),
        ("a\nb\n\nc\nnew\nd", (5,)),
        ("a\nb\nnew\n\nc\nd", (4,)),
        ("a\nb\n\nc\nd\nnew", (5,)),
        ("A\nb\n\nc\nD", (1, 5)),
    ],
    ids=["same", "changed", "removed", "inserted", "in front of a blank one", "behind the last", "two"],
)
def test_lines_of_a_change_are_lines_of_the_old_version(after, lines):
    assert c_functions.changed_lines("a\nb\n\nc\nd", after) == lines


def test_line_ends_and_byte_order_marks_do_not_change_functions():
    source = "int f(int a)\n{\n\treturn a;\n}\n"
    expected = c_functions.parse(source.encode())
    for other in (b"\xef\xbb\xbf" + source.encode(), *(source.replace("\n", end).encode() for end in ("\r\n", "\r"))):
        assert c_functions.parse(other) == expected
    assert list(expected.functions) == ["f"]


def test_a_form_feed_does_not_end_a_line():
    assert c_functions.changed_lines("int f()\n{\f\n a;\n}", "int f()\n{\f\n b;\n}") == (3,)
