"""What every reader of labelled code is: a class with a few literals that yields functions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from sparse_attention.data.code.functions import Function, Intake


class CodeReader:
    """Reads one format; a subclass with a literal `name` in this folder is found by the registry.

    Attributes
    ----------
    name : str
        The `format` in the configuration.
    options : dict
        JSON schema of each key that an entry of `code_corpora` may have for this reader.
    suffixes : tuple of str
        Of the files that it reads, in small letters; that of compression, which `data.files` takes off, is not named.
    """

    name: ClassVar[str]
    options: ClassVar[dict[str, Any]] = {}
    suffixes: ClassVar[tuple[str, ...]]

    def read(self, files: Mapping[str, list[Path]], intake: Intake, options: Mapping[str, Any]) -> Iterator[Function]:
        """Yield the functions of all files with their labels, in a fixed order.

        Parameters
        ----------
        files : mapping
            Files by split; the split "" when the data set does not say.
        intake : Intake
            Counts what was read, left out or mended.
        options : mapping
            The corpus's entry in the configuration, `ignored_rules` of `prepare_code`, and `threads`, which may
            change nothing in what is read.

        Raises
        ------
        InputError
            With the file and the place, when something cannot be read.
        """
        raise NotImplementedError
