import pytest

import summarise_sparse_mlm
from sparse_attention.errors import InputError
from sparse_attention.files.tables import read_table, write_table

NAMES = ("sparse_mlm", "sparse_mlm_by_head")


@pytest.fixture
def job(fabricate, tmp_path):
    files = fabricate.sparse_mlm(tmp_path)
    params = {"runs": {kind: own.runs for kind, own in files.items()}, "replicates": 20}
    output = {name: str(tmp_path / f"{name}.tsv") for name in NAMES}
    return fabricate.job(input={kind: own.paths for kind, own in files.items()}, output=output, params=params)


def test_both_tables_are_complete(tables, fabricate):
    points = sum(len(own) for _, own in fabricate.RUN_POINTS.values())
    # full attention with entmax and softmax; two points in both ways; two of them and full entmax trained further
    assert len(read_table(tables / "sparse_mlm.tsv")) == 2 + points + 2 + 3
    assert len(read_table(tables / "sparse_mlm_by_head.tsv")) == (points + 2 + 2) * 2 * 2 * 3


def test_the_main_table_is_latex_too(tables):
    text = (tables / "sparse_mlm.tex").read_text()
    assert "Predictor & Attention & Setting & Win. & Kept & Steps & PPL" in text and r"\pm" in text
    assert "Full attention & softmax & -- &" in text


def test_nothing_need_be_trained_further(job):
    for kind in ("finetuned_full_mlm_losses", "finetuned_mlm_losses", "finetuned_mlm_heads"):
        # Snakemake gives no input of that name where its list is empty
        delattr(job.input, kind)
        job.params.runs[kind] = []
    summarise_sparse_mlm.main(job)
    assert set(read_table(job.output.sparse_mlm)["finetuned"]) == {0}


def test_a_broken_table_ends_the_run_without_any(job, tmp_path):
    path = job.input.sparse_mlm_losses[2]
    write_table(read_table(path).assign(accuracy=1.5), path)
    with pytest.raises(InputError, match=r"losses.tsv: accuracy must be a finite number from 0 to 1"):
        summarise_sparse_mlm.main(job)
    assert not [name for name in NAMES if (tmp_path / f"{name}.tsv").exists()]
