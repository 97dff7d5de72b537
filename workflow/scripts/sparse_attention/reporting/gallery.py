"""Write the HTML page that colours the tokens of test functions by the last layer that they reach."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from sparse_attention.data.code.functions import Function
from sparse_attention.metrics.classification import THRESHOLD
from sparse_attention.pruning.export import Traced
from sparse_attention.reporting.painting import as_html, is_dark, shade
from sparse_attention.reporting.templates import open_template
from sparse_attention.summaries.wording import spell_pruning

OUTCOMES = {(1, 1): "defect found", (1, 0): "defect missed", (0, 1): "false alarm", (0, 0): "rightly cleared"}
"""Text for each pair of label and prediction."""


def choose_functions(functions: Sequence[Function], traced: Mapping[int, Traced], count: int) -> list[int]:
    """Return the numbers of up to `count` functions, taken from the four outcomes in turn, in rising order."""
    groups: dict[tuple[int, int], list[int]] = {outcome: [] for outcome in OUTCOMES}
    for number, found in traced.items():
        groups[functions[number].label, int(found.probability >= THRESHOLD)].append(number)
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
    """Return the page as HTML.

    Parameters
    ----------
    template : str
        Path of the Jinja template.
    functions : sequence of Function
        All functions; their index is their number.
    traced : mapping
        The functions to show, by number.
    layers : int
        Number of layers of the model.
    language : str
        The name of a language in pygments.
    context : mapping
        `corpus`, `classifier`, `pruning` (its path segment) and `seed`.
    """
    items = []
    for number, found in traced.items():
        function, predicted = functions[number], int(found.probability >= THRESHOLD)
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
    shades = [(colour, is_dark(colour)) for colour in (shade(layer, layers) for layer in range(layers + 1))]
    shown = {**context, "pruning": spell_pruning(context["pruning"])}
    return open_template(template).render(context=shown, items=items, layers=layers, shades=shades)
