"""Every figure is drawn from the tables that it names, and refuses those that have no rows."""

import pytest

import plot
import pruning_tables
from sparse_attention.errors import InputError
from sparse_attention.files.tables import write_table
from sparse_attention.plotting.registry import discover

FIGURES = discover()
HEADS = {"svg": b"<?xml", "pdf": b"%PDF", "png": b"\x89PNG"}
SETTING = {
    "figures.window": 0,
    "figures.keep": "none",
    "figures.heatmap.predictor": "kmeans",
    "figures.heatmap.sparsity": 0.95,
    "map_attention.example": 0,
    "map_attention.sparsity": 0.9,
}
PRUNINGS = ["mode~threshold_final~0.005", "mode~topk_final~0.3", "mode~threshold_final~0.005_lambda~0.1"]


@pytest.fixture(scope="module")
def of_prunings(tmp_path_factory):
    """The tables that figures of pruned classifiers need."""
    folder = tmp_path_factory.mktemp("prunings")
    kept, predictions = pruning_tables.runs()
    frames = {"pruning": pruning_tables.quality(PRUNINGS), "pruning_layers": pruning_tables.layers(PRUNINGS),
              "thresholds": pruning_tables.thresholds(PRUNINGS), "kept": kept, "predictions": predictions}  # fmt: skip
    for name, frame in frames.items():
        write_table(frame, folder / f"{name}.tsv")
    return folder


@pytest.fixture(scope="module")
def make_job(fabricate, tables, of_prunings):
    """Return a function that makes the job of a figure; a table named `empty` has no rows."""

    def made(figure, folder, empty=None, suffixes=("svg",)):
        given = {}
        for name in FIGURES[figure].needs:
            path = next(parent / f"{name}.tsv" for parent in (of_prunings, tables) if (parent / f"{name}.tsv").exists())
            if name == empty:
                (folder / path.name).write_text(path.read_text().splitlines()[0] + "\n")
                path = folder / path.name
            given[name] = str(path)
        setting = fabricate.CONTEXT | {key: SETTING[key] for key in FIGURES[figure].settings}
        output = {"figure": [str(folder / f"{figure}.{suffix}") for suffix in suffixes]}
        return fabricate.job(input=given, output=output, params={"setting": setting}, wildcards={"figure": figure})

    return made


@pytest.fixture(scope="module")
def drawn(make_job, tmp_path_factory):
    """Every figure as SVG."""
    folder = tmp_path_factory.mktemp("figures")
    for figure in FIGURES:
        plot.main(make_job(figure, folder))
    return {figure: (folder / f"{figure}.svg").read_bytes() for figure in FIGURES}


def test_every_figure_is_drawn_and_none_like_another(drawn):
    assert all(content.startswith(HEADS["svg"]) and len(content) > 1000 for content in drawn.values())
    assert len(set(drawn.values())) == len(FIGURES)


def test_it_is_written_in_three_formats(make_job, tmp_path):
    plot.main(make_job("pareto_recall", tmp_path, suffixes=HEADS))
    for suffix, head in HEADS.items():
        content = (tmp_path / f"pareto_recall.{suffix}").read_bytes()
        assert content.startswith(head) and len(content) > 1000


@pytest.mark.parametrize(
    ("figure", "empty"), [(name, table) for name, info in FIGURES.items() for table in info.needs], ids="-".join
)
def test_an_empty_table_is_refused_unless_the_figure_says_otherwise(figure, empty, make_job, tmp_path):
    if empty in FIGURES[figure].may_be_empty:
        plot.main(make_job(figure, tmp_path, empty))
        assert (tmp_path / f"{figure}.svg").exists()
    else:
        with pytest.raises(InputError, match=rf"{empty}.tsv: has no rows, so there is nothing to draw"):
            plot.main(make_job(figure, tmp_path, empty))
