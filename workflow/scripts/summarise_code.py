"""Publish what is known of the code: its splits, what was left out of it, and what simple classifiers make of it."""

from sparse_attention.files.tables import read_table, write_table
from sparse_attention.jobs.script import run


def main(snakemake):
    for name in ("code", "code_intake", "text_baselines"):
        table = read_table(getattr(snakemake.input, name))
        table.insert(0, "code", snakemake.params.corpus)
        write_table(table, getattr(snakemake.output, name))


if __name__ == "__main__":
    run(main, snakemake)  # noqa: F821
