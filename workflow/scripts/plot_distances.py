"""Draw how far apart the queries and keys of kept pairs are, beside those of the gold support."""

from sparse_attention.files.tables import read_table
from sparse_attention.jobs.script import run
from sparse_attention.plotting import style
from sparse_attention.plotting.distances import edge_distances


def main(snakemake):
    table = read_table(snakemake.input.offsets)
    style.require(table, snakemake.input.offsets)
    style.save(edge_distances(table, snakemake.params.context), snakemake.output.figure)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
