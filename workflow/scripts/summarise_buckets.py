"""Average what is known of the quantizers' buckets over seeds."""

from sparse_attention.files.tables import write_table
from sparse_attention.jobs.inputs import listed
from sparse_attention.jobs.script import run
from sparse_attention.summaries.buckets import buckets_table, common_buckets_table


def main(snakemake):
    given, output, runs = snakemake.input, snakemake.output, snakemake.params.runs
    write_table(buckets_table(listed(given.buckets), runs), output.buckets)
    write_table(common_buckets_table(listed(given.common), runs), output.common_buckets)


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
