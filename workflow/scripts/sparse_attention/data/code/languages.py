"""Names of programming languages."""

from __future__ import annotations

from sparse_attention.errors import InputError


def check_language(language: str) -> None:
    """Raise `InputError` when pygments does not know `language`."""
    from pygments.lexers import get_lexer_by_name
    from pygments.util import ClassNotFound

    try:
        get_lexer_by_name(language)
    except ClassNotFound:
        raise InputError(
            f"show_pruning.language: {language!r} is not allowed; allowed: a language of pygments, such as python or c"
        ) from None
