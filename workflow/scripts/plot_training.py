"""Draw the training curves of the language models."""

from sparse_attention.files.tables import read_table
from sparse_attention.jobs.script import run
from sparse_attention.plotting import curves, style


def main(snakemake):
    table, quality = read_table(snakemake.input.training), read_table(snakemake.input.masked_lm)
    style.require(table, snakemake.input.training)
    style.save(curves.training(table, quality, snakemake.params.context), snakemake.output.figure)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
