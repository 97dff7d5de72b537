"""Draw the training curves of the language models."""

from sparse_attention.plotting import curves, style
from sparse_attention.scriptio import run
from sparse_attention.tables import read_table


def main(snakemake):
    table, quality = read_table(snakemake.input.training), read_table(snakemake.input.masked_lm)
    style.require(table, snakemake.input.training)
    style.save(curves.training(table, quality, snakemake.params.context), snakemake.output.figure)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
