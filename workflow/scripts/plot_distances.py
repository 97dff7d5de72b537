"""Draw how far apart the queries and keys of kept pairs are, beside those of the gold support."""

from sparse_attention.plotting import style
from sparse_attention.plotting.distances import edge_distances
from sparse_attention.scriptio import run
from sparse_attention.tables import read_table


def main(snakemake):
    table = read_table(snakemake.input.offsets)
    style.require(table, snakemake.input.offsets)
    style.save(edge_distances(table, snakemake.params.context), snakemake.output.figure)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
