import pytest

import plot_buckets
from sparse_attention.errors import InputError


def job(fabricate, tables, folder):
    given = {name: str(tables / f"{name}.tsv") for name in ("buckets", "common_buckets")}
    output = {name: [str(folder / f"{name}.svg")] for name in ("entropy", "common")}
    return fabricate.job(input=given, output=output, params={"sparsity": 0.8, "context": fabricate.CONTEXT})


def test_both_figures_are_written(fabricate, tables, tmp_path):
    plot_buckets.main(job(fabricate, tables, tmp_path))
    assert all((tmp_path / f"{name}.svg").stat().st_size > 1000 for name in ("entropy", "common"))


@pytest.mark.parametrize("empty", ["buckets", "common_buckets"])
def test_an_empty_table_is_refused(empty, fabricate, tables, tmp_path):
    for name in ("buckets", "common_buckets"):
        text = (tables / f"{name}.tsv").read_text()
        (tmp_path / f"{name}.tsv").write_text(text.splitlines()[0] + "\n" if name == empty else text)
    with pytest.raises(InputError, match=f"{empty}.tsv: has no rows"):
        plot_buckets.main(job(fabricate, tmp_path, tmp_path))
