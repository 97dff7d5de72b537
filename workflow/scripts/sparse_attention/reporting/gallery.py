"""A page of functions whose tokens are coloured by the last layer that they reach."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import jinja2
from markupsafe import Markup

from sparse_attention.data.code.functions import Function
from sparse_attention.pruning.export import Traced
from sparse_attention.reporting.painting import as_html, shade
from sparse_attention.summaries.wording import spell_pruning

OUTCOMES = {(1, 1): "defect found", (1, 0): "defect missed", (0, 1): "false alarm", (0, 0): "rightly cleared"}
"""By label and prediction."""


def choose(functions: Sequence[Function], traced: Mapping[int, Traced], count: int) -> list[int]:
    """Return up to `count` functions, of each outcome in turn, in their order."""
    groups: dict[tuple[int, int], list[int]] = {outcome: [] for outcome in OUTCOMES}
    for number, found in traced.items():
        groups[functions[number].label, int(found.probability >= 0.5)].append(number)
    turns = [[group[turn] for group in groups.values() if turn < len(group)] for turn in range(count)]
    return sorted([number for turn in turns for number in turn][:count])


def render(
    template: str,
    functions: Sequence[Function],
    traced: Mapping[int, Traced],
    layers: int,
    language: str,
    context: Mapping[str, Any],
) -> str:
    """Return the page.

    Parameters
    ----------
    template : str
        The Jinja template.
    functions : sequence of Function
        All of them.
    traced : mapping
        Those to show.
    layers : int
        Of the model.
    language : str
        A language of pygments.
    context : mapping
        `corpus`, `classifier`, `pruning` (its path segment) and `seed`.
    """
    items = []
    for number, found in traced.items():
        function, predicted = functions[number], int(found.probability >= 0.5)
        row = {"spans": found.spans, "last_layer": found.last_layer}
        counts = [sum(last >= layer for last in found.last_layer) for layer in range(layers + 1)]
        items.append(
            {
                "number": number,
                "function": function,
                "outcome": OUTCOMES[function.label, predicted],
                "right": function.label == predicted,
                "probability": found.probability,
                "counts": counts,
                "html": Markup(as_html(row, function.source, language, function.lines)),
            }
        )
    folder, name = os.path.split(template)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder or "."), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    shades = [(shade(layer, layers), sum(shade(layer, layers)) < 380) for layer in range(layers + 1)]
    spelt = {**context, "pruning": spell_pruning(context["pruning"])}
    return environment.get_template(name).render(context=spelt, items=items, layers=layers, shades=shades)
