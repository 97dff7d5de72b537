"""Draw the fitting curves of the projections, by layer."""

from sparse_attention.plotting import curves, style
from sparse_attention.scriptio import run
from sparse_attention.tables import read_table


def main(snakemake):
    table = read_table(snakemake.input.projections)
    style.require(table, snakemake.input.projections)
    style.save(curves.projections(table, snakemake.params.context), snakemake.output.figure)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
