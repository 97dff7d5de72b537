"""Draw the fitting curves of the projections, by layer."""

from sparse_attention.files.tables import read_table
from sparse_attention.jobs.script import run
from sparse_attention.plotting import curves, style


def main(snakemake):
    table = read_table(snakemake.input.projections)
    style.require(table, snakemake.input.projections)
    style.save(curves.projections(table, snakemake.params.context), snakemake.output.figure)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
