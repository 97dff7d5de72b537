"""Colours of one figure stay apart for readers with red-green colour blindness.

Colours are simulated as in Machado, Oliveira and Fernandes (IEEE TVCG 2009) at full severity, and compared by their
distance in CIELAB. A distance of 2 is just seen side by side; marks that lie apart need more.
"""

import itertools

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from sparse_attention.plotting import style
from sparse_attention.plotting.figures import heatmap_best
from sparse_attention.plotting.predictor_styles import (
    BOUND_COLOUR,
    BOUND_STYLE,
    CATEGORY_COLOURS,
    STYLES,
    distinct_styles,
    group_of,
)
from sparse_attention.plotting.pruning import OUTCOMES, SYSTEMS
from sparse_attention.plotting.token_maps import ADDED, HIT, MISSED

VISIONS = {
    "normal": np.eye(3),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
}
"""Matrices over linear RGB."""
XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
LEAST = 8.0


def lab(colour, vision):
    """Return the CIELAB coordinates ``(3,)`` of a colour as it is seen."""
    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    relative = XYZ @ np.clip(VISIONS[vision] @ linear, 0, 1) / XYZ.sum(1)
    curve = np.where(relative > (6 / 29) ** 3, np.cbrt(relative), relative / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * curve[1] - 16, 500 * (curve[0] - curve[1]), 200 * (curve[1] - curve[2])])


def distance(first, second):
    """Return the smallest distance of two colours over `VISIONS`."""
    return min(float(np.linalg.norm(lab(first, vision) - lab(second, vision))) for vision in VISIONS)


def too_near(colours):
    """Return the pairs of ``(name, colour)`` that are too near."""
    pairs = itertools.combinations(colours, 2)
    return [(one, two, distance(a, b)) for (one, a), (two, b) in pairs if distance(a, b) < LEAST]


def pale(colour):
    return tuple((1 - heatmap_best.PALE) * np.array(to_rgb(colour)) + heatmap_best.PALE)


def test_the_simulation_confuses_red_and_green_but_not_blue_and_orange():
    assert distance("#a05a2c", "#6b7a2c") < LEAST < np.linalg.norm(lab("#a05a2c", "normal") - lab("#6b7a2c", "normal"))
    assert distance("#0072B2", "#E69F00") > 50
    np.testing.assert_allclose(lab("white", "normal"), [100, 0, 0], atol=1e-3)


@pytest.mark.parametrize(
    "colours",
    [
        style.ATTENTION_COLOURS,
        [colour for _, colour in SYSTEMS.values()],
        [colour for _, colour in OUTCOMES.values()],
        [HIT, ADDED, MISSED],
        [*CATEGORY_COLOURS, BOUND_COLOUR],
    ],
    ids=["attentions", "systems", "outcomes", "token maps", "categories"],
)
def test_colours_of_a_figure_stay_apart(colours):
    assert not too_near([(colour, colour) for colour in colours])


def test_cells_of_the_map_of_best_predictors_stay_apart():
    colours = [*CATEGORY_COLOURS[:-1], heatmap_best.REST]
    assert not too_near([(colour, colour) for colour in colours])
    assert not too_near([(f"pale {colour}", pale(colour)) for colour in colours])


@pytest.mark.parametrize("group", sorted({group_of(name) for name in STYLES}))
def test_predictors_of_a_group_stay_apart_by_colour_or_marker(group):
    own = {name: drawn for name, drawn in STYLES.items() if group_of(name) == group}
    own["bounds"] = BOUND_STYLE
    near = too_near([(name, drawn.colour) for name, drawn in own.items()])
    assert not [(one, two) for one, two, _ in near if own[one].marker == own[two].marker]


def test_predictors_of_a_mixed_panel_stay_apart_by_colour_or_marker():
    own = distinct_styles([*STYLES, "oracle", *(f"new{index}" for index in range(20))])
    near = too_near([(name, drawn.colour) for name, drawn in own.items()])
    assert not [(one, two) for one, two, _ in near if own[one].marker == own[two].marker]
