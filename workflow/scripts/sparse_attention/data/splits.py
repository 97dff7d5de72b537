"""Splits documents at random by seed and id, so that adding documents moves none to another split."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from sparse_attention.errors import InputError
from sparse_attention.jobs.options import Options

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Shares(Options):
    """The shares of the splits: a section `split` of the configuration.

    Attributes
    ----------
    train, validation, test : float
        Shares that sum to 1; those of train and validation are above 0.
    seed : int
        Seed of the random positions of documents; from 0 on.
    """

    train: float
    validation: float
    test: float
    seed: int

    def share(self, split: str) -> float:
        """Return the share of one of `SPLITS`."""
        return {"train": self.train, "validation": self.validation, "test": self.test}[split]


def position(seed: int, document: str) -> float:
    """Return a document's random position in [0, 1), which depends only on the seed and the document's id."""
    digest = hashlib.sha256(f"{seed}\0{document}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


ADVICE = "bring more documents, or cut a text file with lines that hold only ---"


def split_documents(
    documents: Sequence[str], shares: Shares, what: str = "documents", advice: str = ADVICE
) -> list[str]:
    """Return the split of each document.

    The unit interval is cut into one piece for each split, as long as its share. A document belongs to the piece that
    contains its `position`. So its split does not depend on other documents, and adding documents moves none. The
    number of documents in a split is binomial: its standard deviation is sqrt(share (1 - share) documents).
    One exception keeps small corpora usable: a split with a positive share but no document takes the document nearest
    to its piece from a split that has more than one.

    Parameters
    ----------
    documents : sequence of str
        Unique ids.
    shares : Shares
    what, advice : str
        For the error message: the name of what is split, and what the user can do.

    Raises
    ------
    InputError
        When there are fewer documents than splits with a positive share.
    """
    edges = {"train": (0.0, shares.train)}
    edges["validation"] = (edges["train"][1], edges["train"][1] + shares.validation)
    edges["test"] = (edges["validation"][1], 1.0)
    wanted = [split for split in SPLITS if shares.share(split) > 0]
    if len(documents) < len(wanted):
        raise InputError(
            f"split: {len(documents)} {what} cannot fill {len(wanted)} splits ({', '.join(wanted)}); {advice}"
        )
    positions = [position(shares.seed, document) for document in documents]
    assigned = [next((split for split in wanted if place < edges[split][1]), wanted[-1]) for place in positions]
    for split in wanted:
        if split in assigned:
            continue
        low, high = edges[split]
        spare = [index for index, owner in enumerate(assigned) if assigned.count(owner) > 1]
        nearest = min(spare, key=lambda index: (max(low - positions[index], positions[index] - high), documents[index]))
        assigned[nearest] = split
    return assigned
