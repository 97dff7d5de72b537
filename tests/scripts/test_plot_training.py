import pytest

import plot_training
from sparse_attention.errors import InputError


def job(fabricate, tables, folder):
    given = {name: str(tables / f"{name}.tsv") for name in ("training", "masked_lm")}
    return fabricate.job(input=given, output={"figure": [str(folder / "t.svg")]}, params={"context": fabricate.CONTEXT})


def test_the_figure_is_written(fabricate, tables, tmp_path):
    plot_training.main(job(fabricate, tables, tmp_path))
    assert (tmp_path / "t.svg").stat().st_size > 1000


def test_an_empty_table_is_refused(fabricate, tables, tmp_path):
    for name in ("training", "masked_lm"):
        (tmp_path / f"{name}.tsv").write_text((tables / f"{name}.tsv").read_text().splitlines()[0] + "\n")
    with pytest.raises(InputError, match="nothing to draw"):
        plot_training.main(job(fabricate, tmp_path, tmp_path))
