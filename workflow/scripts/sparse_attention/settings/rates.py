"""Reads the measured rates by which the time and storage of a run are estimated."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

from sparse_attention.files.yaml import read_mapping

FILE = Path(__file__).with_name("rates.yaml")


@dataclass(frozen=True)
class Rates:
    """Measured rates; the file explains each.

    Attributes
    ----------
    seconds, bytes : dict of str to float
        CPU seconds and bytes for one unit, by name.
    sparsity : float
        Mean sparsity of the gold support.
    """

    seconds: dict[str, float]
    bytes: dict[str, float]
    sparsity: float


@functools.cache
def rates(file: Path = FILE) -> Rates:
    """Return the rates of a file."""
    return Rates(**read_mapping(file))
