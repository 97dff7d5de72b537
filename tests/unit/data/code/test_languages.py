from __future__ import annotations

import pytest

from sparse_attention.data.code.languages import check_language
from sparse_attention.errors import InputError


@pytest.mark.parametrize("language", ["pyhton", ""])
def test_an_unknown_language_is_refused(language):
    with pytest.raises(
        InputError, match=f"^show_pruning.language: '{language}' is not allowed; allowed: a language of pygments"
    ):
        check_language(language)
    for known in ("python", "powershell", "c"):
        assert check_language(known) is None
