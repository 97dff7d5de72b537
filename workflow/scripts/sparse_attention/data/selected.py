"""Remembers which receipt each name of the configuration had in the last run.

A name, such as that of a corpus, can be given another data set and later the first one again. Its results must then be
made again, although no file is newer than they are.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from sparse_attention.files.plain import write_json

FILE = Path("resources", "selected.json")


def replaced(current: Mapping[str, str]) -> dict[str, str]:
    """Return the receipts that are new for their names, each with the receipt that it replaces.

    Parameters
    ----------
    current : mapping
        The receipt of each name that the configuration selects.
    """
    last = _last()
    return {receipt: last[name] for name, receipt in current.items() if last.get(name, receipt) != receipt}


def record(current: Mapping[str, str]) -> None:
    """Store the receipts of a run that starts, and mark those that replace others as changed just now.

    Parameters
    ----------
    current : mapping
        The receipt of each name that the configuration selects.
    """
    last = _last()
    if last | dict(current) == last:
        return
    for receipt in replaced(current):
        # older results come from the replaced receipt and must be made again, also if this run is stopped before
        if os.path.exists(receipt):
            os.utime(receipt)
    write_json(FILE, last | dict(current), indent=2)


def _last() -> dict[str, str]:
    try:
        found = json.loads(FILE.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
