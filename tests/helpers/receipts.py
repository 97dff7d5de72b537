"""Receipts of files that a test makes."""

from __future__ import annotations

from pathlib import Path

from sparse_attention.data.fetch import retrieve


def receipt_of(path: str | Path, folder: Path, kind: str) -> str:
    """Retrieve what a user has at `path`, as the rule does; return the receipt, which lies in `folder`."""
    receipt = folder / f"{kind}.receipt.json"
    entry = {"kind": kind, "version": "local", "source": {"type": "path", "path": str(path)}}
    retrieve("mine", entry, receipt)
    return str(receipt)
