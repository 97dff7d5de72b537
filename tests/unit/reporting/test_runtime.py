"""Sentences on the time and memory of a run agree with the table."""

import pandas as pd
import pytest

from sparse_attention.reporting.runtime import duration, rules


def table(memory=(2048.0, 900.0), seconds=(300.0, 100.0)):
    return pd.DataFrame({"rule": ["train", "plot"], "jobs": [1, 20], "total_s": seconds, "peak_memory_mib": memory})


def test_time_and_memory_are_named_with_their_rules():
    first, second = (sentence.replace("\N{NO-BREAK SPACE}", " ") for sentence in rules(table()))
    assert first == "21 jobs took 7 min together; 75 % of that is train (1 job)."
    assert second == "The largest job, of train, held 2.0 GiB of memory."


def test_what_was_not_measured_is_not_said():
    assert len(rules(table(memory=(float("nan"), float("nan"))))) == 1
    assert rules(table(seconds=(0.0, 0.0))) == []


@pytest.mark.parametrize("seconds, text", [(11.6, "12 s"), (200, "3 min"), (3590, "1 h 00 min"), (7500, "2 h 05 min")])
def test_durations(seconds, text):
    assert duration(seconds) == text
