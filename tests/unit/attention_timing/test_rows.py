"""The rows of one length: which there are, and what they say of the blocks; times themselves are not looked at."""

from __future__ import annotations

import pytest
import torch

from sparse_attention.attention_timing import rows
from sparse_attention.attention_timing.dense import dense, sdpa
from sparse_attention.attention_timing.inputs import Inputs, seen
from sparse_attention.attention_timing.rows import Measured, Wanted, predicted_rows, timed_rows
from sparse_attention.attention_timing.timing import peak_mib
from sparse_attention.block_sparse.visible import Visible
from sparse_attention.predictors.registry import discover
from sparse_attention.settings.ladders import LADDERS


def inputs_of(length, heads=2, groups=2, visible=None):
    draw = torch.Generator().manual_seed(0)
    query, key, value = (torch.randn(1, count, length, 8, generator=draw) for count in (heads, groups, groups))
    return Inputs(query, key, value, visible or Visible.everything(1, length, length))


def test_dense_attention_comes_first_and_quantizers_have_both_orders():
    wanted = Wanted(("window", "kmeans"), (0.3, 0.6), (16,), ("entmax",), alpha=1.25, repeats=1)
    found = list(timed_rows(inputs_of(96), wanted))
    assert [(row["method"], row["computed"]) for row in found[:3]] == [
        ("sdpa", "softmax"), ("dense", "softmax"), ("dense", "entmax"),
    ]  # fmt: skip
    assert found[0]["speedup"] == 1 and all(row["block"] == 0 and row["kept"] == 1 for row in found[:3])
    expected = [("window", "tokens"), ("kmeans", "tokens"), ("kmeans", "buckets")]
    assert [(row["asked"], row["method"], row["order"]) for row in found[3:]] == [
        (share, *pair) for share in (0.3, 0.6) for pair in expected
    ]
    assert {row["length"] for row in found} == {96} and {row["sdpa_ms"] for row in found} == {found[0]["sdpa_ms"]}
    for row in found:
        parts = row["predict_ms"] + row["build_ms"] + row["attend_ms"]
        assert row["total_ms"] == pytest.approx(parts, abs=0.002) and row["attend_ms"] > 0
        assert (row["predict_ms"] > 0) == (row["block"] > 0)
    window = [row["kept"] for row in found if row["method"] == "window"]
    assert window[0] < window[1] and window == pytest.approx([0.3, 0.6], abs=0.2)


@pytest.mark.parametrize("name", sorted(discover()))
def test_every_predictor_can_be_timed(name, monkeypatch):
    monkeypatch.setattr(rows, "peak_mib", lambda call: None)  # it collects garbage, which takes long among many tests
    measured = Measured(inputs_of(48), Wanted((name,), (0.5,), (16,), ("softmax",), repeats=1))
    found = list(predicted_rows(measured, name, 0.5, 16))
    assert len(found) == 1 + discover()[name].quantizes and all(row["total_ms"] > 0 for row in found)


def test_the_setting_of_entmax_is_that_of_the_model():
    wanted = Wanted((), (), ())
    assert (wanted.alpha_of("softmax"), wanted.alpha_of("entmax")) == (1, 1.5)
    assert Wanted((), (), (), alpha=2).alpha_of("entmax") == 2


@pytest.mark.parametrize(
    ("visible", "groups"),
    [(seen(40, False, None), 2), (seen(40, True, None), 2), (seen(40, False, 5), 2), (seen(40, True, 5), 1)],
    ids=["everything", "causal", "window", "causal window, grouped"],
)
def test_both_dense_softmax_attentions_agree(visible, groups):
    inputs = inputs_of(40, groups=groups, visible=visible)
    torch.testing.assert_close(sdpa(inputs)(), dense(inputs, 1.0)().output, rtol=1e-4, atol=1e-5)


def test_memory_that_is_taken_and_given_back_is_counted():
    found = peak_mib(lambda: torch.ones(2**23).sum())
    assert found is None or 30 <= found <= 100


def test_points_of_a_ladder_are_settings_of_the_predictor():
    assert set(LADDERS) == set(discover())
    for name, ladder in LADDERS.items():
        info, points = discover()[name], ladder(512, 64)
        assert points, name
        for fixed, point in points:
            assert set(fixed) == set(info.fitted) and set(point) == set(info.parameters) - set(info.fitted), name
