"""Turn a retrieved corpus into clean documents, split by document."""

from pathlib import Path

from sparse_attention.data.prepare import PrepareOptions, prepare
from sparse_attention.data.registry import open_dataset
from sparse_attention.files.tables import write_table
from sparse_attention.jobs.script import run


def main(snakemake):
    params = snakemake.params
    documents, splits = Path(snakemake.output.documents), Path(snakemake.output.splits)
    options = PrepareOptions.of(params.options)
    statistics = prepare(open_dataset(snakemake.input.receipt), documents, splits, params.entry, options)
    write_table(statistics, snakemake.output.statistics)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
