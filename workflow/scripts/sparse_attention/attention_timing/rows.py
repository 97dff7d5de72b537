"""The rows of one length: dense attention, and attention over the blocks that predictors keep, on the same inputs."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sparse_attention.attention.supports import Buckets
from sparse_attention.attention_timing.dense import Call, dense, sdpa
from sparse_attention.attention_timing.inputs import Inputs
from sparse_attention.attention_timing.points import nearest_point, set_up
from sparse_attention.attention_timing.table import COMPUTED, DENSE, SDPA, SOFTMAX
from sparse_attention.attention_timing.timing import milliseconds, peak_mib
from sparse_attention.evaluation.block_lists import Prediction, listed, listed_by_bucket
from sparse_attention.predictors.base import BucketPredictor, Predictor
from sparse_attention.predictors.features import Features
from sparse_attention.predictors.registry import discover
from sparse_attention.settings.ladders import LADDERS, Setting

Row = dict[str, Any]
PROJECTED = 4  # dimensions of the random projection, as many as in Sparsefinder


@dataclass(frozen=True)
class Wanted:
    """What is timed.

    Attributes
    ----------
    predictors : sequence of str
        Predictors of `settings.ladders.LADDERS`.
    kept : sequence of float
        Shares of blocks; each predictor is timed at the point that keeps nearest to each.
    block_sizes : sequence of int
        Tokens of a block of queries and of a block of keys.
    computed : sequence of str
        What is computed over the blocks, of `table.COMPUTED`.
    alpha : float
        That of entmax.
    repeats : int
        Number of times of which the median is taken, after one that is not counted.
    window : int
        Neighbours that are always kept, 0 or odd.
    keep : str
        Tokens that are always kept, see `masks.keep_mask`.
    """

    predictors: Sequence[str]
    kept: Sequence[float]
    block_sizes: Sequence[int]
    computed: Sequence[str] = COMPUTED
    alpha: float = 1.5
    repeats: int = 3
    window: int = 0
    keep: str = "none"

    def alpha_of(self, computed: str) -> float:
        """Return the α of what is computed; that of softmax is 1."""
        return 1.0 if computed == SOFTMAX else self.alpha


class Measured:
    """Times calls on the same inputs against SDPA, and makes rows of the times."""

    def __init__(self, inputs: Inputs, wanted: Wanted) -> None:
        self.inputs, self.wanted = inputs, wanted
        self.sdpa_ms = self.time(sdpa(inputs))

    def row(self, call: Call, times: dict[str, float], baseline: float | None = None, **named: Any) -> Row:
        """Return a row; `times` are those of the parts of the call, `baseline` is that of SDPA if it is another."""
        baseline, total = baseline or self.sdpa_ms, sum(times.values())
        none = {"predict_ms": 0.0, "build_ms": 0.0}
        timed = {**none, **times, "total_ms": total, "sdpa_ms": baseline, "speedup": baseline / total}
        rounded = {name: round(number, 3) for name, number in timed.items()}
        return {"length": self.inputs.query.shape[2], **named, **rounded, "peak_mib": peak_mib(call)}

    def dense_row(self, method: str, computed: str, call: Call, taken: float, baseline: float | None = None) -> Row:
        """Return the row of a method without blocks, which took `taken` milliseconds."""
        named = {"method": method, "order": "tokens", "computed": computed}
        return self.row(call, {"attend_ms": taken}, baseline, **named, block=0, asked=1.0, kept=1.0)

    def time(self, call: Call) -> float:
        """Return the time of a call in milliseconds."""
        return milliseconds(call, self.wanted.repeats)


def timed_rows(inputs: Inputs, wanted: Wanted) -> Iterator[Row]:
    """Yield the rows of one length: dense attention first, then every predictor.

    Quantizers have two rows, with blocks of neighbouring tokens and with tokens sorted by bucket (`order`).
    """
    measured = Measured(inputs, wanted)
    yield from dense_rows(measured)
    for block in wanted.block_sizes:
        for share in wanted.kept:
            for name in wanted.predictors:
                yield from predicted_rows(measured, name, share, block)


def dense_rows(measured: Measured) -> Iterator[Row]:
    """Yield the rows of PyTorch's dense softmax attention and of ours, softmax and entmax."""
    yield measured.dense_row(SDPA, SOFTMAX, sdpa(measured.inputs), measured.sdpa_ms)
    for computed in COMPUTED:
        call = dense(measured.inputs, measured.wanted.alpha_of(computed))
        yield measured.dense_row(DENSE, computed, call, measured.time(call))


def predicted_rows(measured: Measured, name: str, share: float, block: int) -> Iterator[Row]:
    """Yield the rows of a predictor at the point that keeps nearest to a share of the blocks."""
    orders = ("tokens", "buckets") if discover()[name].quantizes else ("tokens",)
    for order in orders:
        predict, build, kept = _prepared(measured, name, share, block, order == "buckets")
        found = predict()
        build_ms = measured.time(functools.partial(build, found))
        times = {"predict_ms": measured.time(predict), "build_ms": build_ms}
        prediction = build(found)
        for computed in measured.wanted.computed:
            alpha = measured.wanted.alpha_of(computed)
            call = functools.partial(_attend, measured.inputs, prediction, alpha)
            whole = functools.partial(_whole, measured.inputs, predict, build, alpha)
            named = {"method": name, "order": order, "computed": computed}
            times["attend_ms"] = measured.time(call)
            yield measured.row(whole, times, None, **named, block=block, asked=share, kept=kept)


def _prepared(
    measured: Measured, name: str, share: float, block: int, reorder: bool
) -> tuple[Callable[[], Any], Callable[[Any], Prediction], float]:
    """Return calls that predict and that build lists, at the point that keeps nearest to a share of the blocks."""
    inputs, wanted = measured.inputs, measured.wanted
    known: dict[str, Predictor] = {}

    def predictor_of(setting: Setting) -> Predictor:
        fixed = setting[0]
        if str(fixed) not in known:
            known[str(fixed)] = set_up(name, fixed, features_of(inputs))
        return known[str(fixed)]

    def predict(setting: Setting) -> tuple[Features, Tensor | Buckets]:
        predictor, point, features = predictor_of(setting), setting[1], features_of(inputs)
        if reorder:
            assert isinstance(predictor, BucketPredictor)
            return features, predictor.buckets(predictor.prepare(features), **point)
        return features, predictor.block_pairs(features, block, block, **point)

    def build(found: tuple[Features, Any]) -> Prediction:
        by = listed_by_bucket if reorder else listed
        return by(*found, block, block, wanted.window, wanted.keep)

    ladder = LADDERS[name](inputs.query.shape[2], block)
    setting = nearest_point(ladder, share, lambda each: kept_of(inputs, build(predict(each))))
    return functools.partial(predict, setting), build, kept_of(inputs, build(predict(setting)))


def features_of(inputs: Inputs) -> Features:
    """Return the features of a predictor; the projection is a random one."""
    query, key = inputs.query[0], inputs.keys_by_head
    weights = torch.randn(query.shape[-1], PROJECTED, generator=torch.Generator().manual_seed(0))
    weights /= query.shape[-1] ** 0.5
    return Features(0, 0, query @ weights, key @ weights, query, key, inputs.visible)


def kept_of(inputs: Inputs, prediction: Prediction) -> float:
    """Return how many blocks are kept for each pair of blocks that holds a visible pair in the order of the tokens."""
    lists = prediction.lists
    visible = inputs.visible.blocks(lists.query_block, lists.key_block)[0, 0].sum()
    return round(float(lists.counts.double().sum((0, 2)).mean() / visible), 4)


def _attend(inputs: Inputs, prediction: Prediction, alpha: float) -> Tensor:
    return prediction.attend(inputs.query, inputs.key, inputs.value, alpha, inputs.visible).output


def _whole(inputs: Inputs, predict: Callable[[], Any], build: Callable[[Any], Prediction], alpha: float) -> Tensor:
    return _attend(inputs, build(predict()), alpha)
