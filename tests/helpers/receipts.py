"""Receipts for files that a test makes."""

from __future__ import annotations

from pathlib import Path

from sparse_attention.data.fetch import retrieve


def receipt_of(path: str | Path, folder: Path, kind: str) -> str:
    """Retrieve the file or folder at `path`, as the rule `retrieve` does; return the path of the receipt."""
    receipt = folder / f"{kind}.receipt.json"
    entry = {"kind": kind, "version": "local", "source": {"type": "path", "path": str(path)}}
    retrieve("mine", entry, receipt)
    return str(receipt)
