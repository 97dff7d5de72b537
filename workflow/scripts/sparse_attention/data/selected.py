"""Which receipts the last run of each name was made from: a name can change its data set, and change it back."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from sparse_attention.files.plain import write_json

FILE = Path("resources", "selected.json")


def replaced(current: Mapping[str, str]) -> dict[str, str]:
    """Return the receipts that now take the place of others, each with the one that had it in the last run.

    Parameters
    ----------
    current : mapping
        The receipt of every name that the configuration selects.
    """
    last = _last()
    return {receipt: last[name] for name, receipt in current.items() if last.get(name, receipt) != receipt}


def record(current: Mapping[str, str]) -> None:
    """Write down what a run that starts is made from."""
    last = _last()
    if last | dict(current) == last:
        return
    for receipt in replaced(current):
        # what is older was made from the other one, also when this run ends before it is made again
        if os.path.exists(receipt):
            os.utime(receipt)
    write_json(FILE, last | dict(current), indent=2)


def _last() -> dict[str, str]:
    try:
        found = json.loads(FILE.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
