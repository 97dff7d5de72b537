"""Draw how evenly the quantizers' buckets are filled, and which pairs have buckets in common."""

from sparse_attention.files.tables import read_table
from sparse_attention.jobs.script import run
from sparse_attention.plotting import buckets, style


def main(snakemake):
    given, params, output = snakemake.input, snakemake.params, snakemake.output
    filling, common = read_table(given.buckets), read_table(given.common_buckets)
    style.require(filling, given.buckets)
    style.require(common, given.common_buckets)
    style.save(buckets.entropy(filling, params.context), output.entropy)
    style.save(buckets.common(common, params.sparsity, params.context), output.common)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
