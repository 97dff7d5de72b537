"""The house style: looks that differ, files of equal bytes, text for readers."""

import matplotlib
import pytest
from matplotlib.figure import Figure

from sparse_attention.errors import InputError
from sparse_attention.plotting import style


def test_every_predictor_has_a_look_of_its_own():
    names = [*style.LOOKS, *(f"new{index}" for index in range(60))]
    looks = style.looks(names)
    pairs = [(look.colour, look.marker) for name, look in looks.items() if name not in ("oracle", "random")]
    assert len(set(pairs)) == len(pairs)


def test_a_look_does_not_depend_on_the_order_of_predictors():
    assert style.looks(["b", "a", "cos"]) == style.looks(["cos", "a", "b"])
    assert style.looks(["cos"])["cos"] is style.LOOKS["cos"]


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
