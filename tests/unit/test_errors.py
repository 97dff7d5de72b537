"""Messages for users are printable lines, whatever they quote."""

import pytest

from sparse_attention.errors import LONGEST_LINE, InputError, reason


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a: columns é and 漢 are missing", "a: columns é and 漢 are missing"),
        ("a: no column x\ny", "a: no column x y"),
        ("a: bad\r\n\n  Deserializing failed.\n", "a: bad Deserializing failed."),
        ("a: \x1b[31mred\x00", r"a: \x1b[31mred\x00"),
        ("a: half \ud83d", r"a: half \ud83d"),
        ("a:\u2028b\u202e", r"a: b\u202e"),
    ],
)
def test_a_message_is_one_printable_line(text, shown):
    assert str(InputError(text)) == shown
    shown.encode()


def test_a_long_message_keeps_its_start_and_its_end():
    text = str(InputError(f"file.csv: there is no column label; its columns: {'x' * 10**6}; allowed: one"))
    assert text.startswith("file.csv: there is no column label") and text.endswith("xxx; allowed: one")
    assert len(text) <= LONGEST_LINE and " … " in text


def test_a_list_of_problems_keeps_its_lines():
    assert str(InputError("wrong:", "  one\ntwo", "  three")) == "wrong:\n  one two\n  three"


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (OSError(" first\nsecond "), "first second"),
        (EOFError(), "EOFError"),
        (ValueError(""), "ValueError"),
        (KeyError("a"), "KeyError: 'a'"),
        (ValueError("It failed. Set `trust_remote_code=True`.\nIt is short."), "It failed. It is short."),
        (RuntimeError("DefaultCPUAllocator: cannot allocate 9 bytes"), "its sizes do not fit into memory"),
    ],
    ids=["lines", "kind alone", "no text", "kind in front", "advice", "memory"],
)
def test_the_reason_is_the_librarys_message_in_one_line(error, text):
    assert reason(error) == text


def test_a_long_reason_is_cut():
    assert len(reason(ValueError("word " * 1000))) <= 300
