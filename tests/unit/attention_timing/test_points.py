"""Each predictor is timed at the point that keeps nearest to a share of the blocks."""

from __future__ import annotations

import pytest

from sparse_attention.attention_timing.points import nearest_point


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [(0.0, 0), (0.29, 1), (0.31, 2), (0.7, 3), (2.0, 4)],
    ids=["below all", "nearer below", "nearer above", "between", "above all"],
)
def test_the_nearest_point_is_found(wanted, expected):
    shares = [0.1, 0.2, 0.4, 0.8, 1.0]
    ladder = [({}, {"keys": number}) for number in range(5)]
    assert nearest_point(ladder, wanted, lambda each: shares[each[1]["keys"]])[1]["keys"] == expected
