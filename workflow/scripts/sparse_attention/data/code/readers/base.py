"""The base class of readers of labelled code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sparse_attention.data.code.functions import Function, Intake
from sparse_attention.data.reader import Reader


@dataclass(frozen=True)
class CodeReader(Reader):
    """Reads labelled functions from files of one format.

    The registry finds each subclass in this folder that sets `name` to a literal.

    Attributes
    ----------
    ignored_rules : sequence of str
        `prepare_code.ignored_rules` of the configuration: bandit's rules whose findings do not count.
    threads : int
        Threads for reading, from 1 on. The number must not change what is read.
    """

    ignored_rules: Sequence[str] = ()
    threads: int = 1

    def read(self, files: Mapping[str, list[Path]], intake: Intake) -> Iterator[Function]:
        """Yield the functions of all files with their labels, in a fixed order.

        Parameters
        ----------
        files : mapping
            Files by split; under "" when the data set does not name splits.
        intake : Intake
            Counts the functions that are read, left out or mended.

        Raises
        ------
        InputError
            When something cannot be read, with the file and the place in it.
        """
        raise NotImplementedError
