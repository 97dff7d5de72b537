"""The rows of one length: dense attention, random lists, and lists of predictors."""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from attending.dense import Call, dense_attention, flex_call, forward_and_backward, random_lists, sdpa
from attending.points import LADDERS, Setting, nearest_point, set_up
from attending.sources import Inputs
from attending.timing import milliseconds, peak_mib
from sparse_attention.attention.supports import Buckets
from sparse_attention.block_sparse.dispatch import attend
from sparse_attention.evaluation.block_lists import Prediction, listed, listed_by_bucket
from sparse_attention.predictors.base import BucketPredictor, Predictor
from sparse_attention.predictors.features import Features
from sparse_attention.predictors.registry import discover

Row = dict[str, Any]
ALPHAS = {"softmax": 1.0, "entmax": 1.5}
PROJECTED = 4  # dimensions of the random projection, as many as in Sparsefinder


class Measured:
    """Times calls on the same inputs against SDPA, and makes rows of the times."""

    def __init__(self, inputs: Inputs, source: str, options: argparse.Namespace) -> None:
        self.inputs, self.options = inputs, options
        self.sdpa_ms = milliseconds(sdpa(inputs), options.repeats)
        self.named = {"length": inputs.query.shape[2], "source": source}

    def row(self, call: Call, times: dict[str, float], baseline: float | None = None, **named: Any) -> Row:
        """Return a row; `times` are those of the parts of the call."""
        baseline, total = baseline or self.sdpa_ms, sum(times.values())
        none = {"predict_ms": 0.0, "build_ms": 0.0}
        timed = {**none, **times, "total_ms": total, "sdpa_ms": baseline, "times": baseline / total}
        rounded = {name: round(number, 3) for name, number in timed.items()}
        return {**self.named, **named, **rounded, "peak_mib": peak_mib(call)}

    def time(self, call: Call) -> float:
        """Return the time of a call in milliseconds."""
        return milliseconds(call, self.options.repeats)


def rows_of(inputs: Inputs, source: str, options: argparse.Namespace) -> Iterator[Row]:
    """Yield the rows of all methods at one length."""
    measured = Measured(inputs, source, options)
    yield from _dense_rows(measured)
    for block in options.block_sizes:
        for share in options.kept:
            yield from _given_rows(measured, share, block)
            for name in options.methods:
                yield from _predicted_rows(measured, name, share, block)


def _dense_rows(measured: Measured) -> Iterator[Row]:
    named = {"block": 0, "asked": 1.0, "kept": 1.0, "order": "tokens"}
    for method, attention, call in dense_attention(measured.inputs, measured.options.baselines):
        yield measured.row(call, {"attend_ms": measured.time(call)}, method=method, attention=attention, **named)
    if "backward" in measured.options.baselines:
        dense, ours = forward_and_backward(measured.inputs)
        both = measured.time(dense)
        for attention, call in ours.items():
            times = {"attend_ms": measured.time(call)}
            yield measured.row(call, times, both, method="dense, with backward", attention=attention, **named)


def _given_rows(measured: Measured, share: float, block: int) -> Iterator[Row]:
    inputs, options = measured.inputs, measured.options
    lists = random_lists(inputs, share, block)
    named = {"block": block, "asked": share, "kept": _kept(inputs, Prediction(lists)), "order": "tokens"}
    calls: dict[str, Call] = {}
    if "given" in options.baselines:
        given = inputs.query, inputs.key, inputs.value, lists
        calls |= {name: functools.partial(attend, *given, ALPHAS[name], inputs.visible) for name in options.attentions}
    if "flex" in options.baselines:
        calls["flex"] = flex_call(inputs, lists)
    for attention, call in calls.items():
        times = {"attend_ms": measured.time(call)}
        yield measured.row(call, times, method="random lists, given", attention=attention, **named)


def _predicted_rows(measured: Measured, name: str, share: float, block: int) -> Iterator[Row]:
    orders = ("tokens", "buckets") if discover()[name].quantizes else ("tokens",)
    for order in orders:
        predict, build, kept = _prepared(measured, name, share, block, order == "buckets")
        named = {"block": block, "asked": share, "kept": kept, "order": order, "method": name}
        found = predict()
        times = {"predict_ms": measured.time(predict), "build_ms": measured.time(lambda of=found, by=build: by(of))}
        prediction = build(found)
        for attention in measured.options.attentions:
            call = functools.partial(_attend, measured.inputs, prediction, ALPHAS[attention])
            whole = functools.partial(_whole, measured.inputs, predict, build, ALPHAS[attention])
            attended = {"attend_ms": measured.time(call)}
            yield measured.row(whole, times | attended, attention=attention, **named)


def _prepared(
    measured: Measured, name: str, share: float, block: int, reorder: bool
) -> tuple[Callable[[], Any], Callable[[Any], Prediction], float]:
    """Return calls that predict and that build lists, at the point that keeps nearest to a share of the blocks."""
    inputs, options = measured.inputs, measured.options
    sizes, extras = (block, block), {"window": options.window, "keep": options.keep}
    known: dict[str, Predictor] = {}

    def predictor_of(setting: Setting) -> Predictor:
        fixed = setting[0]
        if str(fixed) not in known:
            known[str(fixed)] = set_up(name, fixed, features_of(inputs))
        return known[str(fixed)]

    def predict(setting: Setting) -> Tensor | Buckets:
        predictor, point, features = predictor_of(setting), setting[1], features_of(inputs)
        if reorder:
            assert isinstance(predictor, BucketPredictor)
            return predictor.buckets(predictor.prepare(features), **point)
        return predictor.block_pairs(features, *sizes, **point)

    def build(found: Any) -> Prediction:
        return (listed_by_bucket if reorder else listed)(features_of(inputs), found, *sizes, **extras)

    ladder = LADDERS[name](inputs.query.shape[2], block)
    setting = nearest_point(ladder, share, lambda each: _kept(inputs, build(predict(each))))
    return functools.partial(predict, setting), build, _kept(inputs, build(predict(setting)))


def features_of(inputs: Inputs) -> Features:
    """Return the features of a predictor; the projection is a random one."""
    query, key = inputs.query[0], inputs.keys_by_head
    weights = torch.randn(query.shape[-1], PROJECTED, generator=torch.Generator().manual_seed(0))
    weights /= query.shape[-1] ** 0.5
    return Features(0, 0, query @ weights, key @ weights, query, key, inputs.visible)


def _kept(inputs: Inputs, prediction: Prediction) -> float:
    """Return how many blocks are kept for each pair of blocks that holds a visible pair in the order of the tokens."""
    lists = prediction.lists
    visible = inputs.visible.blocks(lists.query_block, lists.key_block)[0, 0].sum()
    return round(float(lists.counts.double().sum((0, 2)).mean() / visible), 4)


def _attend(inputs: Inputs, prediction: Prediction, alpha: float) -> Tensor:
    shared = 1 if prediction.order is None else inputs.query.shape[1] // inputs.key.shape[1]
    # another order is one for each head of queries
    key, value = (tensor.repeat_interleave(shared, 1) for tensor in (inputs.key, inputs.value))
    return prediction.attend(inputs.query, key, value, alpha, inputs.visible).output


def _whole(inputs: Inputs, predict: Callable[[], Any], build: Callable[[Any], Prediction], alpha: float) -> Tensor:
    return _attend(inputs, build(predict()), alpha)
