"""Checks of what is drawn: the predictors, the examples and the settings that figures and maps are about."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sparse_attention.files.yaml_values import shown
from sparse_attention.settings.schema import Problem, nearest


def problems(config: dict[str, Any]) -> Iterator[Problem]:
    """Yield what the sections `figures` and `map_attention` ask for and the run does not have."""
    yield from _not_evaluated(config, ("figures", "heatmap", "predictor"), config["figures"]["heatmap"]["predictor"])
    for drawn, evaluated in (("window", "windows"), ("keep", "keep")):
        value, allowed = config["figures"][drawn], config["evaluate"][evaluated]
        if value not in allowed:
            text = f"{value} is not in evaluate.{evaluated}; allowed: {', '.join(map(str, allowed))}"
            yield Problem(("figures", drawn), text, (("evaluate", evaluated),))
    if maps := config["map_attention"]:
        for position, name in enumerate(maps["predictors"]):
            yield from _not_evaluated(config, ("map_attention", "predictors", position), name)
        held = config["extract_qk"]["examples"]["validation"]
        # how many examples a dump holds is known once it is read
        if config["extract_qk"]["source"] is None and maps["example"] >= held:
            text = f"{maps['example']} is too high; allowed: below extract_qk.examples.validation, {held}"
            yield Problem(("map_attention", "example"), text, (("extract_qk", "examples", "validation"),))


def _not_evaluated(config: dict[str, Any], key: tuple[Any, ...], name: Any) -> Iterator[Problem]:
    """Yield a problem when `name`, the value of `key`, is not one of the predictors that are evaluated."""
    active = [predictor for predictor, grid in config["predictors"].items() if grid is not None]
    if name not in active:
        text = f"{shown(name)} is not among predictors; {nearest(name, active)}"
        yield Problem(key, text, (("predictors", str(name)),))
