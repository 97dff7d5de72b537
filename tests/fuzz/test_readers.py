"""Readers of a user's files, given damaged ones: each reads them, or tells what is wrong in one line.

`make fuzz SECONDS=60 READER=dump-new` looks further than the cases of the ordinary tests do. A case that failed is
shown with its seed, and comes again with `make fuzz SEED=… READER=…`.
"""

from __future__ import annotations

import os
import time

import pytest

import leaky_readers
import user_files
import user_tensors
from fuzzing import Worker, seeds

READERS = user_files.READERS | user_tensors.READERS
SECONDS = os.environ.get("FUZZ_SECONDS")
SEED = os.environ.get("FUZZ_SEED")
SHOWN = 10


@pytest.fixture(scope="module")
def worker(tmp_path_factory):
    process = Worker(("user_files", "user_tensors"), tmp_path_factory.mktemp("fuzz") / "printed.log")
    yield process
    process.stop()


@pytest.fixture(scope="module")
def leaky(tmp_path_factory):
    process = Worker(("leaky_readers",), tmp_path_factory.mktemp("fuzz") / "printed.log", longest=2)
    yield process
    process.stop()


def cases(reader):
    """Return the seeds to try: fixed ones, one that is given, or new ones for as long as is wanted."""
    if SEED:
        return [int(SEED)]
    if SECONDS:
        return seeds(time.time_ns() % 10**9, 0, float(SECONDS))
    return seeds(0, READERS[reader].cases, None)


@pytest.mark.parametrize("reader", READERS)
def test_a_damaged_file_is_read_or_refused_in_one_line(reader, worker):
    whole = worker.run(reader, None)
    assert whole["problem"] is None, whole["problem"]
    found: dict[str, str] = {}
    refused = 0
    for seed in cases(reader):
        result = worker.run(reader, seed)
        refused += not result["read"]
        if result["problem"] and not (READERS[reader].may_hang and result["problem"].startswith("hangs")):
            text = f"SEED={seed} READER={reader}: {'; '.join(result['damage'])}\n    {result['problem']}"
            found.setdefault(result["problem"].split(" at ")[-1][:80], text)
        if len(found) >= SHOWN:
            break
    assert not found, "\n".join([f"{len(found)} kinds of faults, make fuzz with:", *found.values()])
    assert refused or SEED, "no damage was noticed: is the file read at all?"


@pytest.mark.parametrize("reader", [name for name in leaky_readers.READERS if name != "sound"])
def test_a_reader_with_a_fault_is_found(reader, leaky):
    assert (leaky.run(reader, None)["problem"] is None) == (reader != "refuses everything")
    assert any(leaky.run(reader, seed)["problem"] for seed in range(4)) or reader == "refuses everything"


def test_a_sound_reader_is_not_blamed(leaky):
    results = [leaky.run("sound", seed) for seed in (None, *range(20))]
    assert not any(result["problem"] for result in results)
    assert results[0]["read"] and not all(result["read"] for result in results)


def test_a_seed_gives_the_same_damage(leaky):
    first, again, other = (leaky.run("sound", seed)["damage"] for seed in (3, 3, 4))
    assert first == again != other
