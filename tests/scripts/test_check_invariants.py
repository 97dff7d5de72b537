import json
import logging

import pytest

import check_invariants
from sparse_attention.errors import InputError
from sparse_attention.files.tables import read_table, write_table


@pytest.fixture
def job(fabricate, tmp_path):
    paths, runs = fabricate.evaluations(tmp_path)
    given = {"evaluations": paths, "documents": [fabricate.beside(path, "documents") for path in paths]}
    output = {"report": str(tmp_path / "invariants.json")}
    return fabricate.job(input=given, output=output, params={"runs": runs, "sparsities": [0.85, 0.9]})


def test_what_was_checked_is_written(job, tmp_path):
    check_invariants.main(job)
    found = json.loads((tmp_path / "invariants.json").read_text())
    assert found == {"tables": 5, "rows": 11 * 2 * 6, "above_oracle": []}


def test_a_broken_table_ends_the_run_without_a_report(job, tmp_path):
    path = job.input.evaluations[1]
    table = read_table(path)
    table.loc[3, "recall"] = 1.5
    write_table(table, path)
    with pytest.raises(InputError, match="kmeans/all.tsv: recall must be from 0 to 1"):
        check_invariants.main(job)
    assert not (tmp_path / "invariants.json").exists()


def test_more_than_the_oracle_is_a_warning_with_numbers(job, tmp_path, caplog):
    for files in (job.input.evaluations, job.input.documents):
        table = read_table(files[3])
        write_table(table.assign(recall=table["recall"] * 0.3), files[3])
    with caplog.at_level(logging.WARNING, logger="sparse_attention"):
        check_invariants.main(job)
    above = json.loads((tmp_path / "invariants.json").read_text())["above_oracle"]
    first = above[0]
    assert f"recalls {first['recall']:.4f} at sparsity" in caplog.text and f"{first['oracle']:.4f}" in caplog.text
    assert len(caplog.records) == min(len(above), check_invariants.LOGGED + 1)
