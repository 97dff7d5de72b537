"""The house style: files of equal bytes, intervals, text for readers."""

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from sparse_attention.errors import InputError
from sparse_attention.plotting import style


@pytest.mark.parametrize(
    "columns, low, high",
    [
        ({"recall_ci95": [0.1]}, 0.4, 0.6),
        ({"recall_low": [0.3], "recall_high": [0.9], "recall_ci95": [0.1]}, 0.3, 0.9),
        ({"recall_low": [float("nan")], "recall_high": [float("nan")], "recall_ci95": [0.1]}, 0.4, 0.6),
        ({}, float("nan"), float("nan")),
    ],
    ids=["seeds", "bootstrap", "no bootstrap", "none"],
)
def test_intervals_are_found_by_their_columns(columns, low, high):
    found = style.interval_ends(pd.DataFrame({"recall": [0.5], **columns}), "recall")
    np.testing.assert_allclose(found, [[low], [high]])


@pytest.mark.parametrize("suffix", ["svg", "pdf", "png"])
def test_files_have_equal_bytes_whatever_the_settings_of_the_user(suffix, tmp_path):
    def draw(path, settings):
        with matplotlib.rc_context(settings), style.house_style():
            figure = Figure(figsize=(2, 2))
            axes = figure.add_subplot()
            axes.plot([0, 1], [0, 1], marker="o", label="curve")
            axes.legend()
        with matplotlib.rc_context(settings):
            style.save(figure, [str(path)])
        return path.read_bytes()

    first = draw(tmp_path / f"a.{suffix}", {})
    assert first == draw(tmp_path / f"b.{suffix}", {"svg.hashsalt": None, "font.size": 20, "savefig.dpi": 50})


def test_png_has_300_dots_per_inch(tmp_path):
    style.save(Figure(figsize=(2, 1)), [str(tmp_path / "a.png")])
    header = (tmp_path / "a.png").read_bytes()[16:24]
    assert (int.from_bytes(header[:4]), int.from_bytes(header[4:])) == (600, 300)


def test_other_formats_are_refused(tmp_path):
    with pytest.raises(InputError, match="allowed: svg, pdf, png"):
        style.save(Figure(), [str(tmp_path / "a.gif")])
