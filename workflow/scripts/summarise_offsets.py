"""Compare the distances at which predictors keep pairs with those of the gold support."""

from sparse_attention.files.tables import read_table, write_table
from sparse_attention.jobs.inputs import listed
from sparse_attention.jobs.script import run
from sparse_attention.summaries.offsets import offsets_table


def main(snakemake):
    given, params = snakemake.input, snakemake.params
    points = read_table(given.predictors)
    write_table(offsets_table(points, listed(given.offsets), params.runs, params.sparsity), snakemake.output.offsets)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
